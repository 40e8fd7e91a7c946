"""The sample connector as an instance, and what its journals say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from lbproxy.demo.journal import Entry, read_journal
from tests.ports import free_port

from ..instance import Instance
from ..starting import SAMPLE
from .place import Place


def sample(name: str, place: Place, *options: str) -> Instance:
    """`options` are those of `python -m lbproxy.demo.connector`; it keeps a journal in the place's directory."""
    port = free_port()
    command = [*SAMPLE, "--name", name, "--port", str(port)]
    command += ["--keytab", str(place.keytab(name)), "--journal", str(journal_path(name, place)), *options]
    return Instance(name, port, command, place.directory / f"{name}.log", "listening: ", place.environment(name))


def journal_path(name: str, place: Place) -> Path:
    return place.directory / f"{name}.journal"


def journal(fleet: Iterable[Instance], place: Place) -> list[Entry]:
    """Every request that reached one of the instances, whatever became of it."""
    return [entry for one in fleet for entry in read_journal(journal_path(one.name, place))]


def arrivals(fleet: Iterable[Instance], place: Place) -> Counter[str]:
    """How often each Authorization value, by its digest, reached an instance."""
    return Counter(entry.token for entry in journal(fleet, place) if entry.token)
