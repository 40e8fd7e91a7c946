from __future__ import annotations

import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from lbproxy.control.log import unraisable


def ignored(error: Exception) -> Any:
    return SimpleNamespace(exc_value=error, exc_type=type(error), err_msg=None, object=None)


def test_many_errors_are_one_line(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    unraisable.install()
    for _ in range(3):
        sys.unraisablehook(ignored(ValueError("not ASCII")))
    assert [record.message for record in caplog.records] == ["error_ignored"]
    now += unraisable.EVERY
    sys.unraisablehook(ignored(KeyError()))
    first, second = (record.__dict__["fields"] for record in caplog.records)
    assert (str(first["error"]), first["others"]) == ("not ASCII", None)
    assert second["others"] == 2
    assert all(record.levelno == logging.WARNING for record in caplog.records)
