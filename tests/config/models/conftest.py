"""The sound configuration with some lines more, as the models have it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lbproxy.config import Config, Listener, Pool


@pytest.fixture
def listener(load_text: Callable[[str], Config], sound: str) -> Callable[[str], Listener]:
    """The listener, with these lines in its table."""
    return lambda lines: load_text(sound.replace("[listener.login]", f"[listener.login]\n{lines}")).listeners["login"]


@pytest.fixture
def pool(load_text: Callable[[str], Config], sound: str) -> Callable[[str], Pool]:
    """The pool, with these lines in its table."""
    return lambda lines: load_text(f"{sound}\n{lines}").pools["connectors"]


@pytest.fixture
def problems_of_listener(problems_of: Callable[[str], list[str]], sound: str) -> Callable[[str], list[str]]:
    """Every problem of the listener with these lines in its table."""
    return lambda lines: problems_of(sound.replace("[listener.login]", f"[listener.login]\n{lines}"))


@pytest.fixture
def problems_of_pool(problems_of: Callable[[str], list[str]], sound: str) -> Callable[[str], list[str]]:
    """Every problem of the pool with these lines in its table."""
    return lambda lines: problems_of(f"{sound}\n{lines}")
