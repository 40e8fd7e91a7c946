"""Fixtures for real connectors in a real realm.

people    users with principals and NTLM accounts of their own, PEOPLE of them
fleet     `await fleet("apache on")` starts three instances, named c1, c2 and c3
front     `await front(fleet, tls=False, **changes)` starts a balancer in front of them
tell      `tell("...")` is a line in pytest's summary
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from lbproxy.demo.realm import Realm

from ..balancer import Balancer
from ..conftest import Balance
from ..instance import Instance
from .apache import apache
from .person import Person
from .place import SERVICE, Place
from .sample import sample

PEOPLE = 200 if os.environ.get("LBPROXY_FULL") else 100

Fleet = Callable[..., Awaitable[list[Instance]]]
Front = Callable[..., Awaitable[Balancer]]
Tell = Callable[[str], None]

_CHECK = {"kind": "http", "path": "/wsfed", "expect": [401], "interval": "200ms", "timeout": "10s", "rise": 1}
"""A patient probe: on a busy machine no instance is called dead that is not."""

_POOL = {"check": _CHECK, "readmit_backoff": "0s"}
"""Who is killed over and over flaps; these tests wait for each to come back."""

_KINDS: dict[str, Callable[..., Instance]] = {
    "apache on": lambda name, place: apache(name, place, bound=True),
    "apache off": lambda name, place: apache(name, place, bound=False),
    "apache ntlm": lambda name, place: apache(name, place, bound=True, ntlm=True),
    "sample": sample,
}


@pytest.fixture(scope="session")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    with Realm(tmp_path_factory.mktemp("realm")) as realm:
        yield realm


@pytest.fixture(scope="session")
def people(realm: Realm) -> list[Person]:
    people = [Person(f"user{number}", realm.name) for number in range(PEOPLE)]
    realm.add_users({person.name: person.password for person in people})
    return people


@pytest.fixture(scope="session")
def keytab(realm: Realm) -> Path:
    return realm.add_service(SERVICE)


@pytest.fixture(autouse=True)
def in_realm(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes gssapi in this process see the realm."""
    monkeypatch.setenv("KRB5_CONFIG", realm.env["KRB5_CONFIG"])


@pytest.fixture
def place(directory: Path, realm: Realm, keytab: Path, people: list[Person]) -> Place:
    passwords = {person.name: person.password for person in people}
    return Place.prepare(directory, Path(realm.env["KRB5_CONFIG"]), keytab, passwords)


@pytest_asyncio.fixture(loop_scope="session")
async def fleet(place: Place) -> AsyncIterator[Fleet]:
    started: list[Instance] = []

    async def start(kind: str, *options: str) -> list[Instance]:
        started.extend(_KINDS[kind](name, place, *options) for name in ("c1", "c2", "c3"))
        async with asyncio.TaskGroup() as group:
            for instance in started:
                group.create_task(instance.start())
        return started

    yield start
    for instance in started:
        await instance.kill()
        print(instance, instance.last_words)  # pytest shows it beside a failure only


@pytest.fixture
def front(fleet: Fleet, balance: Balance) -> Front:
    """Depends on `fleet` so that the balancer ends first."""

    async def start(members: list[Instance], tls: bool = False, **changes: Any) -> Balancer:
        return await balance(*members, tls=tls, pool=_POOL, **changes)

    return start


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    return lambda text: record_property("told", text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    told = [
        f"{report.nodeid.rpartition('::')[2]}: {text}"
        for report in terminalreporter.getreports("passed")
        for key, text in report.user_properties
        if key == "told" and report.when == "call"
    ]
    if told:
        terminalreporter.write_sep("-", "direct auth")
        terminalreporter.write_line("\n".join(told))
