from __future__ import annotations

import logging

from lbproxy.control.log.logged_event import LoggedEvent, logged_event


def record(message: str, level: int = logging.WARNING, **extra: object) -> logging.LogRecord:
    return logging.Logger("lbproxy.test").makeRecord("lbproxy.test", level, "f", 1, message, (), None, extra=extra)


def test_an_event_has_its_fields_as_text() -> None:
    made = record("backend_ejected", fields={"backend": "c1", "reason": None, "age": 1.5})
    assert logged_event(made, "worker") == LoggedEvent(
        made.created, "WARNING", "backend_ejected", {"backend": "c1", "age": "1.5"}, "worker"
    )


def test_a_sentence_is_named_after_its_logger() -> None:
    assert logged_event(record("Task was destroyed"), "").name == "lbproxy.test"
    assert logged_event(record("Task was destroyed"), "").fields == {"message": "Task was destroyed"}


def test_what_is_long_is_cut() -> None:
    made = logged_event(record("said", fields={"text": "x" * 10_000}), "")
    assert len(made.fields["text"]) == 500
    assert len(logged_event(record("y" * 10_000), "").fields["message"]) == 500
