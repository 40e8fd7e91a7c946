"""Several names on one listener, and several listeners: what was agreed for one name or listener holds for it only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.pki import Authority, Files
from tests.ports import free_port

from .backend import ScriptedBackend
from .balancer import running
from .client import HOST, request
from .conftest import Backends
from .programs import Shown, curl, s_client
from .users import Users, gate_config, names_the_user

CLOSING = request("/", "GET", "Connection: close")


def names_config(users: Users, backend: ScriptedBackend, *more: Files, **listener: Any) -> dict[str, Any]:
    """A listener of all `hosts`, with `more` certificates beside that of HOST."""
    pairs = [{"certificate": str(files.chain), "key": str(files.key)} for files in more]
    config = gate_config(users, backend, client_certificate="optional", additional=pairs)
    config["listener"]["login"].update({"hosts": ["*"], **listener})
    return config


# --- the certificate for a name

SUBJECTS = {
    HOST: HOST,
    "sso.test": "sso.test",
    "SSO.test": "sso.test",
    "a.sso.test": "*.sso.test",
    "a.b.sso.test": HOST,
    "other.test": HOST,
    None: HOST,
}
"""The server name that is asked for, and the subject of the certificate that is shown."""


@pytest.fixture
def users(directory: Path) -> Users:
    return Users(directory)


async def test_each_name_has_its_certificate(backends: Backends, users: Users) -> None:
    [backend] = await backends(names_the_user)
    sso = users.servers.server("sso.test").write(users.directory, "sso")
    wild = users.servers.server("*.sso.test").write(users.directory, "wild")
    config = names_config(users, backend, sso, wild)
    alice = users.staff.issue("alice")
    async with running(config, users.directory) as balancer:
        for name, subject in SUBJECTS.items():
            asks = request("/", "GET", "Connection: close", host=name or HOST)
            shown = await s_client(balancer.address, *users.s_client(alice), asks=asks, name=name)
            assert f"subject=CN = {subject}\n" in shown.text
            assert "known" in shown.text
        for host in (HOST, "sso.test", "a.sso.test"):
            assert (await curl(balancer.address, "/", *users.curl(alice), host=host)).out == "known"
        users.servers.server("sso.test", "new.test").write(users.directory, "sso")
        await balancer.logged("certificate_loaded")
        assert (await curl(balancer.address, "/", *users.curl(alice), host="new.test")).out == "known"


# --- a request for another name

MISDIRECTED = {
    "another Host": ("/", "sso.test", 421),
    "the Host with a port": ("/", f"{HOST}:1234", 200),
    "the Host in capitals": ("/", HOST.upper(), 200),
    "another Host in the target": ("https://sso.test/", "sso.test", 421),
    "the Host in the target": (f"https://{HOST}/", HOST, 200),
}
"""The target, the Host and the status, on a connection for HOST."""


async def test_a_request_for_another_name_is_misdirected(backends: Backends, users: Users) -> None:
    """RFC 9110 section 15.5.20: the certificate was asked for, and verified, for the name of the connection."""
    [backend] = await backends(names_the_user)
    async with running(names_config(users, backend), users.directory) as balancer:
        for target, host, status in MISDIRECTED.values():
            async with await balancer.connect(tls=users.context(users.staff.issue("alice"))) as client:
                assert (await client.ask()).status == 200
                await client.send(request(target, host=host))
                assert (await client.response()).status == status
        await balancer.accessed(2, reason="misdirected", status=421, user="alice")
        assert not [seen for seen in backend.requests if seen.get("host") == b"sso.test"]
        for host in (HOST, "sso.test"):  # a client that names no server may mean any
            asks = request("/", "GET", "Connection: close", host=host)
            shown = await s_client(balancer.address, *users.s_client(), asks=asks, name=None)
            assert "200 OK" in shown.text


# --- sessions


async def test_a_session_is_good_for_its_listener_only(backends: Backends, users: Users) -> None:
    """Else a user of one would be a user of the other, whose authorities have never seen the certificate."""
    [backend] = await backends(names_the_user)
    partners = Authority.root("partners")
    config = names_config(users, backend)
    other = {**config["listener"]["login"], "bind": f"127.0.0.1:{free_port()}"}
    other["tls"] = {**other["tls"], "client_ca": str(partners.write_certificate(users.directory / "partners.pem"))}
    config["listener"]["other"] = other
    alice, dan = users.staff.issue("alice"), partners.issue("dan")
    async with running(config, users.directory) as balancer:
        theirs = other["bind"].split(":")[0], int(other["bind"].split(":")[1])
        for version in ("-tls1_2", "-tls1_3"):
            session = users.directory / f"session{version}"

            async def connect(address: tuple[str, int], *options: object, version: str = version) -> Shown:
                return await s_client(address, version, *options, asks=CLOSING)

            saved = await connect(balancer.address, *users.s_client(alice), "-sess_out", session)
            assert "known" in saved.text
            again = await connect(balancer.address, *users.s_client(alice), "-sess_in", session)
            assert (again.resumed, "known" in again.text) == (True, True)
            crossed = await connect(theirs, *users.s_client(alice), "-sess_in", session)
            assert (crossed.resumed, "HTTP/1.1" in crossed.text) == (False, False)
            bare = await connect(theirs, *users.s_client(), "-sess_in", session)
            assert (bare.resumed, "unknown" in bare.text) == (False, True)
            assert "known" in (await connect(theirs, *users.s_client(dan))).text


async def test_a_session_does_not_bring_its_name_along(backends: Backends, users: Users) -> None:
    """TLS 1.3 lets a client resume with another name (RFC 8446 section 4.2.11): the name of the connection counts."""
    [backend] = await backends(names_the_user)
    sso = users.servers.server("sso.test").write(users.directory, "sso")
    session = users.directory / "session"
    async with running(names_config(users, backend, sso), users.directory) as balancer:
        options = ["-tls1_3", *users.s_client(users.staff.issue("alice"))]
        asks = request("/", "GET", "Connection: close", host="sso.test")
        saved = await s_client(balancer.address, *options, "-sess_out", session, asks=asks, name="sso.test")
        assert "200 OK" in saved.text
        for name, status in (("sso.test", "200 OK"), (HOST, "421 Misdirected")):
            shown = await s_client(balancer.address, *options, "-sess_in", session, asks=asks, name=name)
            assert (shown.resumed, status in shown.text) == (True, True)
