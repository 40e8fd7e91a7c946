"""The table of reasons is one table: every row is used, and every row can be a label, a log text and a status."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path

import pytest

from lbproxy import reasons
from lbproxy.reasons import TABLE, Counts, Fault, Reason

ROWS = list(TABLE.values())
CLIENT_CLOSED_REQUEST = 499  # nginx's, logged only

LABEL = re.compile(r"`([a-z_]+)`")

CODE = "\n".join(
    path.read_text()
    for path in Path("lbproxy").rglob("*.py*")
    if path.suffix in {".py", ".pyx"} and path != Path("lbproxy/reasons.py")
)


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_a_row_is_used_under_its_name(row: Reason) -> None:
    name = row.label.upper()
    assert getattr(reasons, name) is row
    assert re.search(rf"\b{name}\b", CODE), f"{name} is never given as a reason"


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_a_row_is_fit_for_labels_logs_and_answers(row: Reason) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", row.label)
    assert row.text
    assert "\n" not in row.text
    assert not row.text.endswith(".")
    if row.status not in (0, CLIENT_CLOSED_REQUEST):
        assert HTTPStatus(row.status) >= HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_only_a_backends_fault_counts_against_it(row: Reason) -> None:
    """One user's doing never ejects a backend."""
    if row.counts is not Counts.NOTHING or row.retry:
        assert row.fault is Fault.BACKEND


def test_a_timeout_is_never_retried_and_never_ejects() -> None:
    """The request may be running: it must not run twice, and one user's hanging request must not eject a fleet."""
    assert not reasons.RESPONSE_TIMEOUT.retry
    assert reasons.RESPONSE_TIMEOUT.counts is Counts.SUSPECT


def test_a_failed_connect_may_move_whatever_the_request_is() -> None:
    connects = [row for row in ROWS if row.label.startswith("connect_")]
    assert connects
    for row in connects:
        assert row.retry
        assert row.counts is Counts.EJECT


def test_a_client_is_told_which_key_was_in_the_way() -> None:
    assert "max_header_size" in reasons.HEAD_TOO_LARGE.text
    assert "max_target_size" in reasons.TARGET_TOO_LONG.text
    assert "max_header_lines" in reasons.TOO_MANY_FIELDS.text


# --- the page


_COUNTS = {Counts.NOTHING: "-", Counts.SUSPECT: "probed", Counts.ERROR: "error", Counts.EJECT: "ejected"}


def retried(row: Reason) -> str:
    """Whatever the request is where no byte of it was sent, else if it is replayable."""
    if not row.retry:
        return "-"
    return "any request" if row.label.startswith("connect_") else "replayable ones"


def test_the_page_has_the_reasons_of_backends() -> None:
    page = Path("docs/failure.md").read_text()
    rows = [
        f"| `{row.label}` | {row.text} | {row.status or '-'} | {_COUNTS[row.counts]} | {retried(row)} |"
        for row in ROWS
        if row.fault is Fault.BACKEND
    ]
    assert "\n".join(["| --- | --- | --- | --- | --- |", *rows, ""]) in page, "\n".join(rows)


def test_another_page_has_all_others() -> None:
    page = Path("docs/monitoring.md").read_text()
    whose = {Fault.NOBODY: "-", Fault.CLIENT: "the client", Fault.LBPROXY: "lbproxy"}
    rows = [
        f"| `{row.label}` | {row.text} | {row.status or '-'} | {whose[row.fault]} |"
        for row in ROWS
        if row.fault is not Fault.BACKEND
    ]
    assert "\n".join(["| --- | --- | --- | --- |", *rows, ""]) in page, "\n".join(rows)


def test_the_page_names_reasons_that_there_are() -> None:
    """In the last column of its first table."""
    table = Path("docs/failure.md").read_text().partition("## The table")[2].partition("###")[0]
    named = [
        label for line in table.splitlines() if line.startswith("| ") for label in LABEL.findall(line.split("|")[4])
    ]
    assert set(named) <= set(TABLE)
    of_backends = {row.label for row in ROWS if row.counts is not Counts.NOTHING}
    assert of_backends - set(named) == {"tunnel_cut"}, "which is no request's"
