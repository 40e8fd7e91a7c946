from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lbproxy.config import Address, Config, load
from lbproxy.draft.draft import Draft, Kerberos

LOCAL = Address("127.0.0.1", 8080)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Draft], Config]:
    return lambda draft: load(tmp_path / "lbproxy.toml", {}, draft.toml())


def test_the_least_serves_every_host(read: Callable[[Draft], Config]) -> None:
    config = read(Draft(LOCAL, ("http://10.0.0.11:4000", "https://10.0.0.12")))
    assert config.server_url == "http://127.0.0.1:8080"
    assert config.listeners["login"].hosts == ("*",)
    assert [backend.name for backend in config.pools["connectors"].backends] == ["c1", "c2"]
    assert config.pools["connectors"].check.kind == "tcp"
    assert config.warnings == ()


def test_with_server_url_its_host_alone_is_served(read: Callable[[Draft], Config]) -> None:
    assert read(Draft(LOCAL, ("http://c:1",), "https://login.test")).listeners["login"].hosts == ("login.test",)


def test_every_address_is_named_after_this_host(read: Callable[[Draft], Config]) -> None:
    address = read(Draft(Address("0.0.0.0", 80), ("http://c:1",))).server_url
    assert address.startswith("http://")
    assert "0.0.0.0" not in address


def test_tcp_backends_get_connections_as_they_are(read: Callable[[Draft], Config]) -> None:
    config = read(Draft(Address("::1", 443), ("tcp://c:1", "tcp://d:1")))
    assert config.listeners["login"].mode == "tcp"
    assert config.warnings == ()


def test_all_that_can_be_said(read: Callable[[Draft], Config], tmp_path: Path) -> None:
    kerberos = Kerberos("probe@CORP.TEST", tmp_path / 'a "b".keytab', "HTTP@login.test")
    files = tmp_path / "l.pem", tmp_path / "l.key"
    admin = Address(path=tmp_path / "admin.sock")
    config = read(Draft(LOCAL, ("http://c:1",), "", *files, "kerberos", "/page", kerberos=kerberos, admin=admin))
    check = config.pools["connectors"].check
    assert (check.kind, check.path) == ("kerberos", "/page")
    assert check.kerberos is not None
    assert (check.kerberos.principal, check.kerberos.keytab, check.kerberos.spn) == (
        kerberos.principal,
        kerberos.keytab,
        kerberos.spn,
    )
    tls = config.listeners["login"].tls
    assert tls is not None
    assert (tls.certificate, tls.key) == files
    assert config.server_url == "https://127.0.0.1:8080"
    assert config.admin.bind == admin


def test_an_http_check_says_what_is_healthy(read: Callable[[Draft], Config]) -> None:
    check = read(Draft(LOCAL, ("http://c:1",), check="http", path="/x", expect=(200, 401))).pools["connectors"].check
    assert (check.kind, check.path, check.expect) == ("http", "/x", frozenset({200, 401}))
