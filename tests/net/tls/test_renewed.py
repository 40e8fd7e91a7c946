"""What certificates of listeners and of pools have in common; test_server.py and test_backend.py have the rest."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from lbproxy.net.tls.renewed import Renewed


class Number(Renewed[int]):
    """The number in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__([path], path)

    def _load(self) -> int:
        return int(self.path.read_text())

    @property
    def value(self) -> int:
        return self._loaded


@pytest.fixture
def number(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Number:
    caplog.set_level(logging.INFO)
    (tmp_path / "number").write_text("1")
    return Number(tmp_path / "number")


def test_a_file_that_is_the_same_is_not_read_again(number: Number, caplog: pytest.LogCaptureFixture) -> None:
    assert not number.refresh()
    assert (number.value, number.refused, caplog.messages) == (1, None, [])


def test_what_cannot_be_used_leaves_what_is_there_and_is_said_once(
    number: Number, caplog: pytest.LogCaptureFixture
) -> None:
    began = time.time()
    number.path.write_text("twelve")
    assert not number.refresh()
    assert not number.refresh()
    assert number.value == 1
    assert number.refused is not None
    assert "twelve" in number.refused.why
    since = number.refused.since
    assert began <= since <= time.time()
    number.path.unlink()
    assert not number.refresh()
    assert number.refused.since == since, "since the first of several"
    assert caplog.messages == ["certificate_kept", "certificate_kept"]
    number.path.write_text("23")
    assert number.refresh()
    assert number.value == 23
    assert not number.refused
    assert caplog.messages[2:] == ["certificate_loaded"]


def test_it_does_not_begin_with_what_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "number").write_text("none")
    with pytest.raises(ValueError, match="none"):
        Number(tmp_path / "number")
