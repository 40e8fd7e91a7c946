"""Whose certificate is believed, by real clients with real chains; and for how long."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.pki import DAY, HOUR, SERVER_AUTH, Authority, self_signed
from tests.ports import free_port

from .backend import ScriptedBackend
from .balancer import command, running
from .client import request
from .configuration import toml
from .conftest import Backends
from .programs import curl, s_client
from .users import Gate, Users, gate_config, names_the_user

VERSIONS = {"-tls1_2": "TLSv1.2", "-tls1_3": "TLSv1.3"}
CLOSING = request("/", "GET", "Connection: close")


# --- who gets in


class Cast:
    """Those who are believed, and those who are not, under one `client_ca` and its revocation lists."""

    def __init__(self, users: Users) -> None:
        root, staff = users.root, users.staff
        closed, strangers = root.intermediate("closed"), Authority.root("strangers")
        unlisted, deep = root.intermediate("unlisted"), root.intermediate("level 1", path_length=0)
        fired = staff.issue("fired")
        self.good = {
            "below an intermediate": staff.issue("alice"),
            "of the root": root.issue("bob"),
            "without usages": staff.issue("carol", usages=()),
        }
        self.bad = {
            "expired": staff.issue("late", starts=-2 * DAY, ends=-DAY),
            "not yet valid": staff.issue("early", starts=HOUR, ends=DAY),
            "revoked": fired,
            "below a revoked intermediate": closed.issue("dave"),
            "for servers": staff.issue("www", usages=[SERVER_AUTH]),
            "of an unknown authority": strangers.issue("eve"),
            "of an authority with the same name": Authority.root("users root").issue("eve"),
            "self-signed": self_signed("eve"),
            "of one who is no authority": Authority(fired.certificate, fired.key, fired.issuers).issue("eve"),
            "of an authority that has no list": unlisted.issue("frank"),
            "below more authorities than allowed": deep.intermediate("level 2").issue("grace"),
            "of a chain that is too long": _below(staff, 10).issue("heidi"),
        }
        users.revoke(root.crl(closed), staff.crl(fired), closed.crl(), strangers.crl(), deep.crl())


def _below(authority: Authority, depth: int) -> Authority:
    for number in range(depth):
        authority = authority.intermediate(f"depth {number}")
    return authority


BAD_CERTIFICATE, UNSUPPORTED, REVOKED, EXPIRED, UNKNOWN_CA, REQUIRED = 42, 43, 44, 45, 48, 116
HANDSHAKE_FAILURE = 40

REFUSED = {
    "expired": (EXPIRED, "client_cert_expired"),
    "not yet valid": (BAD_CERTIFICATE, "client_cert_refused"),
    "revoked": (REVOKED, "client_cert_revoked"),
    "below a revoked intermediate": (REVOKED, "client_cert_revoked"),
    "for servers": (UNSUPPORTED, "client_cert_refused"),
    "of an unknown authority": (UNKNOWN_CA, "client_cert_refused"),
    "of an authority with the same name": (UNKNOWN_CA, "client_cert_refused"),
    "self-signed": (UNKNOWN_CA, "client_cert_refused"),
    "of one who is no authority": (UNKNOWN_CA, "client_cert_refused"),
    "of an authority that has no list": (UNKNOWN_CA, "client_cert_refused"),
    "below more authorities than allowed": (UNKNOWN_CA, "client_cert_refused"),
    "of a chain that is too long": (UNKNOWN_CA, "client_cert_refused"),
}
"""The alert (RFC 8446 section 6.2), and the reason that is logged and counted."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared_gate() -> AsyncIterator[tuple[Gate, Cast]]:
    """One balancer for all who come to the door."""
    with tempfile.TemporaryDirectory(prefix="lbp-") as name:
        users = Users(Path(name))
        cast = Cast(users)
        backend = ScriptedBackend("c1", names_the_user)
        await backend.start()
        try:
            async with running(gate_config(users, backend, client_crl=[str(users.crl)]), users.directory) as balancer:
                yield Gate(balancer, backend, users), cast
        finally:
            await backend.stop()
        backend.check()


@pytest.fixture
def door(shared_gate: tuple[Gate, Cast]) -> tuple[Gate, Cast]:
    gate, cast = shared_gate
    gate.balancer.forget()
    gate.backend.forget()
    return gate, cast


async def test_good_certificates(door: tuple[Gate, Cast]) -> None:
    gate, cast = door
    for holder in cast.good.values():
        assert (await curl(gate.balancer.address, "/", *gate.users.curl(holder))).out == "known"
        for option, version in VERSIONS.items():
            shown = await s_client(gate.balancer.address, option, *gate.users.s_client(holder), asks=CLOSING)
            assert (shown.verified, shown.protocol, shown.alert) == (True, version, None), shown.text
            assert "HTTP/1.1 200 OK" in shown.text
    for name in ("alice", "bob", "carol"):
        await gate.balancer.accessed(3, user=name, status=200)


@pytest.mark.parametrize("case", REFUSED)
async def test_bad_certificates(door: tuple[Gate, Cast], case: str) -> None:
    gate, cast = door
    holder, (alert, reason) = cast.bad[case], REFUSED[case]
    assert (await curl(gate.balancer.address, "/", *gate.users.curl(holder))).status in (35, 55, 56)
    for option in VERSIONS:
        shown = await s_client(gate.balancer.address, option, *gate.users.s_client(holder), asks=CLOSING)
        assert (shown.alert, "HTTP/1.1" in shown.text) == (alert, False), shown.text
    await gate.balancer.logged("client_certificate_refused", f"reason={reason}", count=3)
    assert not gate.backend.lanes
    assert not gate.balancer.access


async def test_no_certificate(door: tuple[Gate, Cast]) -> None:
    gate, _ = door
    for option, alert in (("-tls1_2", HANDSHAKE_FAILURE), ("-tls1_3", REQUIRED)):
        shown = await s_client(gate.balancer.address, option, *gate.users.s_client(), asks=CLOSING)
        assert (shown.alert, "HTTP/1.1" in shown.text) == (alert, False)
    await gate.balancer.logged("client_certificate_refused", 'detail="no certificate"', count=2)
    assert not gate.backend.lanes


async def test_what_was_refused_is_counted(door: tuple[Gate, Cast]) -> None:
    gate, cast = door
    before = (await gate.balancer.status())["ends"].get("client_cert_revoked", 0)
    assert not await gate.believes(cast.bad["revoked"])
    await gate.balancer.logged("client_certificate_refused")
    assert (await gate.balancer.status())["ends"]["client_cert_revoked"] == before + 1


# --- files that are missing or no good


def _old(directory: Path) -> bytes:
    path = directory / "old.pem"
    return Authority.root("old", starts=-2 * DAY, ends=-DAY).write_certificate(path).read_bytes()


FILES: dict[str, Callable[[Path], bytes | None]] = {
    "missing": lambda _: None,
    "empty": lambda _: b"",
    "garbage": lambda _: b"garbage",
    "expired": _old,
}


async def test_without_good_files_there_is_no_start(backends: Backends, directory: Path) -> None:
    """Each case has a listener of its own. The one that has expired is an authority; a revocation list may: a new one
    can come at any time."""
    config = gate_config(Users(directory), *await backends())
    login = config["listener"].pop("login")
    paths = []
    for key in ("client_ca", "client_crl"):
        for case, make in FILES.items():
            path = directory / f"{key}-{case}"
            paths.append(path)
            if (content := make(directory)) is not None:
                path.write_bytes(content)
            tls = {**login["tls"], key: str(path) if key == "client_ca" else [str(path)]}
            config["listener"][f"{key}-{case}"] = {**login, "bind": f"127.0.0.1:{free_port()}", "tls": tls}
    (directory / "lbproxy.toml").write_text(toml(config))
    for name in ("run", "check"):
        code, out, err = await command(name, "-c", str(directory / "lbproxy.toml"))
        assert (code, "Traceback" in out + err) == (1, False), out + err
        assert [path for path in paths if str(path) not in out + err] == []
