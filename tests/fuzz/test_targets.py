"""Every target holds for what it begins with, cut at every byte where that is short, and for what runs have found."""

from __future__ import annotations

import pytest

from tests.fuzz.seeds import corpus, seeds
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    found = seeds(name)
    assert found
    for data in found:
        TARGETS[name](data)
        TARGETS[name](data[: len(data) // 2])


@pytest.mark.parametrize("name", TARGETS)
def test_corpus(name: str) -> None:
    for data in corpus(name):
        TARGETS[name](data)


def test_a_rule_that_is_broken_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a run would be quiet whatever happens: here the parser forgets what it has written."""
    monkeypatch.setattr("tests.fuzz.targets.understood", lambda head: id(head))
    with pytest.raises(AssertionError):
        TARGETS["request"](b"\0\0GET / HTTP/1.1\r\nHost: a\r\n\r\n")
