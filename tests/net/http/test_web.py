from __future__ import annotations

from ipaddress import ip_network

import pytest

from lbproxy import reasons
from lbproxy.auth.certificate import ClientCertificate
from lbproxy.auth.mint import Mint
from lbproxy.balance.backend import Backend
from lbproxy.net.http.web import _origins
from tests.net.conftest import Build
from tests.net.dialogue import request
from tests.pki import Authority

LOOPBACK, ELSEWHERE = ip_network("127.0.0.0/8"), ip_network("192.0.2.0/24")


@pytest.mark.parametrize(
    ("trust", "expected"), [((), b"127.0.0.1"), ((ELSEWHERE,), b"127.0.0.1"), ((LOOPBACK,), b"192.0.2.7, 127.0.0.1")]
)
async def test_trust(front: Build, trust: tuple[object, ...], expected: bytes) -> None:
    home = front(trust=trust)
    client = await home.connect()
    await client.send(request(b"GET /x", b"X-Forwarded-For: 192.0.2.7"))
    seen = await (await home.places[0].lane()).head()
    assert b"\r\nX-Forwarded-For: " + expected + b"\r\n" in seen


# --- what its clients ask


def test_the_schemes_own_port_may_be_written_or_not() -> None:
    for origin in (Backend("a", "http://10.0.0.1"), Backend("a", "http://10.0.0.1:80")):
        assert _origins(origin) == {b"http://10.0.0.1", b"http://10.0.0.1:80"}
    assert _origins(Backend("a", "https://A.test:443")) == {b"https://a.test", b"https://a.test:443"}
    assert _origins(Backend("a", "http://10.0.0.1:4000")) == {b"http://10.0.0.1:4000"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"{origin}/login", b"https://a.test/login"),
        (b"{origin}", b"https://a.test"),
        (b"{origin}?x=http://b", b"https://a.test?x=http://b"),
        (b"{ORIGIN}/x", b"https://a.test/x"),
        (b"{origin}.evil.example/x", None),
        (b"{origin}@evil.example/x", None),
        (b"https://idp.example/{origin}/x", None),
        (b"relative/path", None),
        (b"//127.0.0.1/x", None),
    ],
)
async def test_locations_of_backends_become_public(front: Build, value: bytes, expected: bytes | None) -> None:
    home = front()
    origin = home.backends[0].origin
    value = value.replace(b"{origin}", origin).replace(b"{ORIGIN}", origin.upper())
    assert home.web.public_location(value) == (value if expected is None else expected)


@pytest.mark.parametrize("evidence", [reasons.CONNECT_REFUSED, reasons.CLIENT_GONE])
async def test_evidence_reaches_the_pool_if_it_counts(front: Build, evidence: reasons.Reason) -> None:
    home = front()
    home.web.evidence(home.backends[0], evidence, "a detail")
    assert home.backends[0].in_rotation is (evidence is reasons.CLIENT_GONE)
    assert home.backends[0].detail == ("" if home.backends[0].in_rotation else "a detail")


# --- backends that are shown minted certificates

CA = Authority.root("mint")
ALICE = ClientCertificate.from_chain(Authority.root("users").issue("alice").chain)
STRANGER = None


@pytest.mark.parametrize("mints", [True, False], ids=["this listener mints", "another one does"])
@pytest.mark.parametrize("reason", [reasons.CONNECT_TLS, reasons.LANE_LOST, reasons.RESPONSE_CUT_HEAD], ids=repr)
async def test_what_becomes_of_a_lane_without_a_certificate_is_no_evidence(
    front: Build, mints: bool, reason: reasons.Reason
) -> None:
    home = front(3, minted_for=True, mint=Mint(CA.certificate, CA.key, 600.0) if mints else None)
    for backend in home.backends:
        home.web.evidence(backend, reason, "", STRANGER if mints else ALICE)
    assert all(backend.in_rotation for backend in home.backends)


async def test_of_a_lane_with_one_only_what_a_refusal_looks_like_is_none(front: Build) -> None:
    """One user whom the backends do not take, as by the mint's name constraints, ejects none of them."""
    home = front(3, minted_for=True, mint=Mint(CA.certificate, CA.key, 600.0))
    for reason, ejects in (
        (reasons.CONNECT_TLS, False),
        (reasons.LANE_LOST, False),
        (reasons.RESPONSE_CUT_HEAD, True),
    ):
        home.web.evidence(home.backends[0], reason, "", ALICE)
        assert home.backends[0].in_rotation is not ejects


async def test_a_backend_that_accepts_no_connection_is_ejected_by_anybody(front: Build) -> None:
    home = front(3, minted_for=True)
    home.web.evidence(home.backends[0], reasons.CONNECT_REFUSED)
    assert not home.backends[0].in_rotation


async def test_where_nothing_is_minted_a_lost_lane_is_evidence(front: Build) -> None:
    home = front(3)
    home.web.evidence(home.backends[0], reasons.LANE_LOST)
    assert not home.backends[0].in_rotation
