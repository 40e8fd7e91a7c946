"""Configurations as text: one that is sound, and what is wrong with others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lbproxy.config import Config, load
from lbproxy.errors import ConfigError

SOUND = """
server_url = "https://login.corp.example"
[listener.login]
bind = "127.0.0.1:8080"
pool = "connectors"
[pool.connectors]
backends = [{ name = "c1", url = "http://10.0.0.11:4000" }]
"""


@pytest.fixture
def sound() -> str:
    return SOUND


@pytest.fixture
def load_text(tmp_path: Path) -> Callable[..., Config]:
    """load() of a file with this text, and with the keywords as its environment."""

    def load_it(text: str, **environ: str) -> Config:
        path = tmp_path / "lbproxy.toml"
        path.write_text(text)
        return load(path, environ)

    return load_it


@pytest.fixture
def problems_of(load_text: Callable[..., Config], tmp_path: Path) -> Callable[..., list[str]]:
    """Every problem of a file with this text, as "key: text"."""

    def find(text: str, **environ: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_text(text, **environ)
        assert caught.value.path == str(tmp_path / "lbproxy.toml")
        return [str(problem) for problem in caught.value.problems]

    return find
