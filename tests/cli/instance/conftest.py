"""Two hosts: a connector that has started, and one that was installed only; and keys to seal packs for the second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest
from click.testing import CliRunner, Result

from lbproxy.cli import main
from tests.instance.connector import Connector
from tests.ports import free_port

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """`lbproxy instance WORDS`."""
    return lambda *words: CliRunner().invoke(main, ["instance", *map(str, words)])


@pytest.fixture
def first(tmp_path: Path) -> Connector:
    return Connector.make(tmp_path / "first", port=free_port())


@pytest.fixture
def second(tmp_path: Path) -> Connector:
    return Connector.install(tmp_path / "second")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A private key; the public one is beside it, as key.pub."""
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "key").write_text(str(identity))
    (tmp_path / "key.pub").write_text(str(identity.to_public()))
    return tmp_path / "key"


@pytest.fixture
def packed(run: Run, first: Connector, key: Path, tmp_path: Path) -> Path:
    """A pack of the first."""
    done = run("pack", "--dir", first.directory, "--recipient", f"{key}.pub", tmp_path / "c.pack")
    assert done.exit_code == 0, done.stderr
    return tmp_path / "c.pack"
