from __future__ import annotations

import logging

import pytest

from lbproxy.control.probes.kerberos.tokens import TicketKey
from lbproxy.control.probes.kerberos.votes import Blame, KeyVotes

OLD, NEW = TicketKey(12, 18), TicketKey(2, 18)


class Votes(KeyVotes):
    """Of connectors with these names; `asked` are those that should be probed at once, in their order."""

    def __init__(self, *names: str) -> None:
        super().__init__("connectors")
        self.asked: list[str] = []
        self.ask = self.asked.append
        for name in names:
            self.join(name)

    def all_took(self, fetched: float) -> Votes:
        for name in self._votes:
            self.took(name, OLD, fetched)
        return self


def test_one_alone_is_to_blame() -> None:
    votes = Votes("a", "b", "c").all_took(1.0)
    assert votes.refused("a", OLD, 1.0, 1.0) is Blame.CONNECTOR
    assert votes.trouble is None
    assert votes.asked == []


def test_the_only_connector_is_to_blame() -> None:
    assert Votes("a").refused("a", NEW, 1.0, 1.0) is Blame.CONNECTOR


def test_who_cannot_be_asked_has_no_say() -> None:
    votes = Votes("a", "b", "c")
    votes.silent("b")
    votes.silent("c")
    assert votes.refused("a", NEW, 1.0, 1.0) is Blame.CONNECTOR


def test_when_all_refuse_it_is_the_directory(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    votes = Votes("a", "b", "c").all_took(1.0)
    assert votes.refused("a", NEW, 2.0, 2.0) is Blame.OPEN
    assert votes.asked == ["b", "c"]
    assert votes.refused("b", NEW, 2.0, 2.0) is Blame.OPEN
    assert votes.refused("c", NEW, 2.0, 2.0) is Blame.DIRECTORY
    assert votes.asked[-2:] == ["a", "b"], "they are told by their next probe"
    assert votes.refused("a", NEW, 2.0, 2.0) is Blame.DIRECTORY
    assert str(votes.trouble) == (
        "no connector has the key that the KDC makes tickets with "
        "(all connectors refuse tickets of kvno 2, aes256-sha1; before it was 12)"
    )
    votes.took("b", NEW, 3.0)
    assert votes.trouble is None
    assert votes.refused("a", NEW, 3.0, 3.0) is Blame.CONNECTOR, "b has the new key"
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("ERROR", "kerberos_trouble"),
        ("INFO", "kerberos_trouble_over"),
    ]


def test_another_account_may_have_a_key_of_the_same_version() -> None:
    votes = Votes("a", "b").all_took(1.0)
    votes.refused("a", OLD, 2.0, 2.0)
    assert votes.refused("b", OLD, 2.0, 2.0) is Blame.DIRECTORY
    assert votes.trouble is not None
    assert votes.trouble.detail == "all connectors refuse tickets of kvno 12, aes256-sha1; before it was the same"


def test_the_account_may_have_another_encryption_type_than_before() -> None:
    votes = Votes("a", "b").all_took(1.0)
    rc4 = TicketKey(OLD.kvno, 23)
    votes.refused("a", rc4, 2.0, 2.0)
    assert votes.refused("b", rc4, 2.0, 2.0) is Blame.DIRECTORY
    assert votes.trouble is not None
    assert votes.trouble.detail == "all connectors refuse tickets of kvno 12, rc4; before it was aes256-sha1"


def test_a_kdc_may_not_tell_the_version() -> None:
    votes = Votes("a", "b")
    votes.refused("a", TicketKey(), 2.0, 2.0)
    votes.refused("b", TicketKey(), 2.0, 2.0)
    assert votes.trouble is not None
    assert votes.trouble.detail == "all connectors refuse its tickets"


def test_it_is_open_until_the_last_one_has_spoken() -> None:
    votes = Votes("a", "b", "c").all_took(1.0)
    assert votes.refused("a", NEW, 2.0, 2.0) is Blame.OPEN
    votes.silent("b")
    assert votes.refused("a", NEW, 2.0, 2.0) is Blame.OPEN
    votes.took("c", NEW, 2.0)
    assert votes.asked[-1] == "a"
    assert votes.refused("a", NEW, 2.0, 2.0) is Blame.CONNECTOR


def test_those_that_refuse_one_after_the_other_are_compared() -> None:
    """Each fetches a newer ticket before it is blamed."""
    votes = Votes("a", "b").all_took(1.0)
    assert votes.refused("a", NEW, 2.0, 3.0) is Blame.OPEN
    assert votes.refused("b", NEW, 3.0, 4.0) is Blame.DIRECTORY


def test_who_refuses_what_another_takes_is_to_blame_though_there_is_a_newer_ticket() -> None:
    votes = Votes("a", "b").all_took(1.0)
    assert votes.refused("a", NEW, 1.0, 2.0) is Blame.CONNECTOR
