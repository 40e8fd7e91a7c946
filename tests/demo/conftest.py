"""One real realm for the tests of this folder, and sample connectors as processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lbproxy.demo.realm import Realm

from .peers import HOST, RunningConnector, Ticket, start_connector


@pytest.fixture(scope="session")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    with Realm(tmp_path_factory.mktemp("realm")) as realm:
        realm.add_users({"alice": "alice's", "bob": "bob's"})
        yield realm


@pytest.fixture(scope="session")
def keytab(realm: Realm) -> Path:
    """The keytab of HTTP/login.corp.example."""
    return realm.add_service(f"HTTP/{HOST}")


@pytest.fixture
def in_realm(realm: Realm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Realm:
    """Makes gssapi in this process see the realm, with an empty replay cache."""
    for name, value in (realm.env | realm.acceptor_env("pytest")).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KRB5RCACHENAME", f"file2:{tmp_path}/rcache")
    return realm


@pytest.fixture
def login(in_realm: Realm, keytab: Path) -> Callable[..., Ticket]:
    """login("alice") is a fresh ticket for HTTP/login.corp.example."""

    def login(user: str = "alice", host: str = HOST) -> Ticket:
        return Ticket(in_realm.kinit(user)["KRB5CCNAME"], host)

    return login


@pytest.fixture
def connector(realm: Realm, tmp_path: Path) -> Iterator[Callable[..., RunningConnector]]:
    """connector("--keytab", path, ...) runs a sample connector until the end of the test."""
    running: list[RunningConnector] = []

    def start(*arguments: object) -> RunningConnector:
        name = f"c{len(running) + 1}"
        environment = realm.acceptor_env(name) | {"KRB5RCACHENAME": f"file2:{tmp_path}/{name}.rcache"}
        running.append(start_connector(["--name", name, *map(str, arguments)], environment))
        return running[-1]

    yield start
    for one in running:
        with one.process as process:
            process.kill()
            process.wait()
