from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from lbproxy.doctor.connector import ldap
from lbproxy.doctor.finding import Outcome, UnseenError
from tests.doctor.connector.conftest import Looking
from tests.doctor.directory.slapd import BASE, PASSWORD, USER, Directory, running
from tests.doctor.looking import only
from tests.instance.connector import Connector, encrypt
from tests.pki import Authority


class Served(NamedTuple):
    directory: Directory
    authorities: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("slapd")
    root = Authority.root()
    (path / "ca").mkdir()
    root.write_certificate(path / "ca" / "root.pem")
    with running(path / "one", root) as directory:
        yield Served(directory, path / "ca")


def settings(served: Served, **changed: object) -> dict[str, object]:
    return {
        "LDAP_URL": served.directory.secret_url,
        "LDAP_BASE": BASE,
        "LDAP_BIND_USER": USER,
        "LDAP_SEARCH_ALL_QUERY": "(objectClass=person)",
        "SSL_CA_PATH": str(served.authorities),
    } | changed


async def test_a_directory_that_the_connector_can_use(look: Looking, served: Served) -> None:
    sight = look(**settings(served))
    assert "its certificate is believed" in only(await ldap.tls(sight)).found
    found = only(await ldap.search(sight))
    assert found.found == f"{USER} signs in, and finds users below {BASE}"


async def test_a_certificate_that_is_not_believed(look: Looking, served: Served) -> None:
    sight = look(**settings(served, SSL_CA_PATH=None))
    found = only(await ldap.tls(sight))
    assert found.outcome is Outcome.PROBLEM
    assert "certificate refused" in found.found
    assert only(await ldap.search(sight)).outcome is Outcome.UNSEEN  # the password is not sent there


async def test_plain_text(look: Looking, served: Served) -> None:
    sight = look(**settings(served, LDAP_URL=served.directory.url))
    assert only(await ldap.tls(sight)).outcome is Outcome.WARNING
    assert only(await ldap.search(sight)).outcome is Outcome.OK


async def test_an_old_password(look: Looking, served: Served, connector: Connector) -> None:
    key = (connector.directory / "certs" / "cert.key").read_bytes()
    sight = look(**settings(served, LDAP_BIND_CREDENTIALS=encrypt("pa55word", key)))
    found = only(await ldap.search(sight))
    assert found.outcome is Outcome.PROBLEM
    assert "cannot sign in" in found.found
    assert "pa55word" not in str(found)


async def test_a_password_that_is_not_encrypted_yet(look: Looking, served: Served) -> None:
    assert only(await ldap.search(look(**settings(served, LDAP_BIND_PASSWORD=PASSWORD)))).outcome is Outcome.OK


async def test_one_that_cannot_be_decrypted(look: Looking, served: Served) -> None:
    with pytest.raises(UnseenError, match="no password that can be decrypted"):
        await ldap.search(look(**settings(served, LDAP_BIND_CREDENTIALS="$2$.00.00.00")))


async def test_a_base_that_holds_nobody(look: Looking, served: Served) -> None:
    found = only(await ldap.search(look(**settings(served, LDAP_BASE="OU=none,DC=corp,DC=example"))))
    assert found.outcome is Outcome.PROBLEM
    assert "nobody is found there" in found.found


async def test_one_that_is_silent(look: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ldap, "_WITHIN", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        found = only(await ldap.tls(look(LDAP_URL=f"ldaps://127.0.0.1:{port}")))
    assert (found.outcome, found.found) == (Outcome.PROBLEM, f"127.0.0.1 port {port}: no answer within 0.1 s")


@pytest.mark.parametrize("url", [None, "", "x", "http://dc1", "ldap://", "ldap://dc1:port"])
async def test_an_address_that_is_none(look: Looking, url: str | None) -> None:
    with pytest.raises(UnseenError, match="LDAP_URL"):
        await ldap.tls(look(LDAP_URL=url))
