from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from lbproxy.demo.journal import Entry, Journal, read_journal, token_digest

ENTRY = Entry(
    method="GET", path="/wsfed?a=b", id="r1", token=None, user="alice", instance="c1", connection=1, request=2
)


def test_what_is_written_is_read_before_the_journal_is_closed(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as journal:
        journal.write(ENTRY)
        assert read_journal(tmp_path / "journal") == [ENTRY]


def test_a_journal_is_continued(tmp_path: Path) -> None:
    for _ in range(2):
        with Journal(tmp_path / "journal") as journal:
            journal.write(ENTRY)
    assert read_journal(tmp_path / "journal") == [ENTRY, ENTRY]


def test_no_request_can_forge_a_line(tmp_path: Path) -> None:
    entry = Entry(
        method="GET",
        path='/\n{"user": "x"}',
        id="\u2028\r\n",
        token=None,
        user=None,
        instance="c1",
        connection=1,
        request=1,
    )
    with Journal(tmp_path / "journal") as journal:
        journal.write(entry)
    assert read_journal(tmp_path / "journal") == [entry]


def test_no_journal() -> None:
    with Journal(None) as journal:
        journal.write(ENTRY)


def test_a_token_is_kept_as_its_digest() -> None:
    assert token_digest("Negotiate abc") == sha256(b"Negotiate abc").hexdigest()
    assert token_digest(None) is None
