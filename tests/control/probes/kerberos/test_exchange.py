from __future__ import annotations

import asyncio
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from email.utils import formatdate

import aiohttp
import gssapi
import pytest
import trustme

from lbproxy.control.probes.connector import open_session
from lbproxy.control.probes.kerberos.credentials import Handshake, Ticket
from lbproxy.control.probes.kerberos.exchange import Page, check_anonymous, request, sign_in
from lbproxy.control.probes.kerberos.failures import Failure, KerberosFailure
from lbproxy.control.probes.kerberos.tokens import TicketKey
from tests.control.probes.backends import answering, hanging, listening, resetting, unused_port

HOST = "login.corp.example"
PROOF = b"the service has its key"

HAS = "has kvno 3, aes256-sha1"


class Proof(Handshake):
    """A handshake whose one right reply is PROOF."""

    def __init__(self) -> None:
        self.token = b"a token"

    def verify(self, reply: bytes) -> None:
        if reply != PROOF:
            raise KerberosFailure(Failure.MUTUAL_WRONG, repr(reply))


def ticket(kvno: int | None = 3, skew: float = 0.0) -> Ticket:
    return Ticket(gssapi.Name("HTTP/x"), "MEMORY:none", TicketKey(kvno, kvno and 18), 0.0, 0.0, skew)


def negotiate(token: bytes) -> str:
    return f"WWW-Authenticate: Negotiate {b64encode(token).decode()}"


def krb_error(code: int, at: float | None = None) -> bytes:
    """An acceptor's error token: that of MIT 1.20, with another number and time."""
    stime = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() if at is None else at)).encode()
    return bytes.fromhex(
        f"607106092a864886f71201020203007e623060a003020105a10302011ea411180f{stime.hex()}a50502030d7814a6030201{code:02x}"
        "a90e1b0c434f52502e4558414d504c45aa253023a003020101a11c301a1b04485454501b126c6f67696e2e636f72702e6578616d706c65"
    )


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as session:
        yield session


def page(port: int, tls: ssl.SSLContext | None = None) -> Page:
    scheme = "http" if tls is None else "https"
    return Page(f"{scheme}://127.0.0.1:{port}/wsfed", HOST, {200, 302}, tls, HOST if tls else None)


def head(status: int, *fields: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} X", *fields, "Content-Length: 0", "", ""]).encode()


async def signing_in(session: aiohttp.ClientSession, answer: bytes, used: Ticket | None = None) -> str:
    """What a connector that answers `answer` gets: its status, or the failure."""
    async with listening(answering(answer)) as port:
        try:
            response = await sign_in(session, page(port), Proof(), used or ticket())
        except KerberosFailure as failure:
            return f"{failure.failure.label}: {failure.detail}"
    response.close()
    return str(response.status)


async def test_a_success_with_its_proof(session: aiohttp.ClientSession) -> None:
    assert await signing_in(session, head(200, negotiate(PROOF))) == "200"
    assert await signing_in(session, head(302, "WWW-Authenticate: NTLM", negotiate(PROOF))) == "302"
    assert await signing_in(session, head(200, f"{negotiate(PROOF)}, NTLM".replace("Negotiate", "nEGOTIATE"))) == "200"


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (head(200), "mutual_token_missing: 200 without a Negotiate token"),
        (head(200, "WWW-Authenticate: Negotiate"), "mutual_token_missing: 200 without a Negotiate token"),
        (head(200, negotiate(b"forged")), "mutual_token_wrong: b'forged'"),
        (head(200, "WWW-Authenticate: Negotiate A"), "mutual_token_wrong: b'?'"),
        (head(404, negotiate(PROOF)), "connector_status: 404, expected 200 or 302"),
        (head(500), "connector_status: 500, expected 200 or 302"),
        (head(401), "connector_no_negotiate: 401"),
        (head(401, 'WWW-Authenticate: Basic realm="x"', "WWW-Authenticate: NTLM"), "connector_no_negotiate: 401"),
        (head(401, "WWW-Authenticate: NTLM, Negotiate"), f"connector_key: 401; the ticket {HAS}"),
        (head(401, negotiate(b"garbage")), f"connector_key: 401; the ticket {HAS}"),
        (
            head(401, negotiate(krb_error(44))),
            f"connector_key: it has no key of this version; the ticket {HAS}",
        ),
        (
            head(401, negotiate(krb_error(35))),
            f"connector_key: it has no key of this service; the ticket {HAS}",
        ),
        (
            head(401, negotiate(krb_error(41))),
            f"connector_key: it cannot decrypt the ticket; the ticket {HAS}",
        ),
        (head(401, negotiate(krb_error(34))), "connector_refused: Kerberos error 34"),
    ],
)
async def test_failures(session: aiohttp.ClientSession, answer: bytes, failure: str) -> None:
    assert await signing_in(session, answer) == failure


async def test_a_ticket_may_have_no_kvno(session: aiohttp.ClientSession) -> None:
    assert (
        await signing_in(session, head(401, "WWW-Authenticate: Negotiate"), ticket(kvno=None)) == "connector_key: 401"
    )


@pytest.mark.parametrize("code", [32, 33, 37])
async def test_a_clock_that_the_error_tells(session: aiohttp.ClientSession, code: int) -> None:
    answer = head(401, negotiate(krb_error(code, time.time() - 1200)))
    assert await signing_in(session, answer) in skews(1200, "behind")


async def test_a_clock_that_the_date_tells(session: aiohttp.ClientSession) -> None:
    answer = head(401, "WWW-Authenticate: Negotiate", f"Date: {formatdate(time.time() + 400, usegmt=True)}")
    assert await signing_in(session, answer) in skews(400, "ahead of")


async def test_clocks_are_compared_with_the_kdcs(session: aiohttp.ClientSession) -> None:
    """Ours is 200 s behind the KDC's, the connector's 200 s behind ours."""
    answer = head(401, "WWW-Authenticate: Negotiate", f"Date: {formatdate(time.time() - 200, usegmt=True)}")
    assert await signing_in(session, answer, ticket(skew=200.0)) in skews(400, "behind")


async def test_a_date_that_is_none_or_not_far_off(session: aiohttp.ClientSession) -> None:
    for date in ("yesterday", "", formatdate(time.time() - 200, usegmt=True)):
        answer = head(401, "WWW-Authenticate: Negotiate", f"Date: {date}")
        assert (await signing_in(session, answer)).startswith("connector_key")


async def test_an_error_that_names_the_key_is_believed_whatever_the_date(session: aiohttp.ClientSession) -> None:
    answer = head(401, negotiate(krb_error(44)), f"Date: {formatdate(0, usegmt=True)}")
    assert (await signing_in(session, answer)).startswith("connector_key: it has no key of this version")


def skews(seconds: int, words: str) -> list[str]:
    """A clock reads on while a test runs."""
    return [f"connector_clock_skew: it is {about} s {words} the KDC's" for about in range(seconds - 3, seconds + 4)]


async def test_the_request(session: aiohttp.ClientSession) -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(head(200, negotiate(PROOF)))

    async with listening(serve) as port:
        (await sign_in(session, page(port), Proof(), ticket())).close()
        (await request(session, page(port))).close()
    assert heads[0].startswith(b"GET /wsfed HTTP/1.1\r\nHost: login.corp.example\r\n")
    assert b"\r\nAuthorization: Negotiate YSB0b2tlbg==\r\n" in heads[0]
    assert b"Authorization" not in heads[1]


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (head(200), None),
        (head(401, "WWW-Authenticate: Negotiate"), None),
        (head(401, "WWW-Authenticate: NTLM"), Failure.NO_NEGOTIATE),
        (head(503), Failure.STATUS),
    ],
)
async def test_without_a_token(session: aiohttp.ClientSession, answer: bytes, failure: Failure | None) -> None:
    async with listening(answering(answer)) as port:
        response = await request(session, page(port))
    response.close()
    if failure is None:
        check_anonymous(page(port), response)
    else:
        with pytest.raises(KerberosFailure) as caught:
            check_anonymous(page(port), response)
        assert caught.value.failure is failure


async def no_answer(session: aiohttp.ClientSession, page: Page) -> str:
    with pytest.raises(KerberosFailure) as caught:
        await request(session, page)
    return f"{caught.value.failure.label}: {caught.value.detail}"


async def test_a_port_that_nobody_listens_on(session: aiohttp.ClientSession) -> None:
    assert await no_answer(session, page(unused_port())) == "connector_unreachable: connection refused"


async def test_a_connector_that_resets(session: aiohttp.ClientSession) -> None:
    async with listening(resetting) as port:
        assert await no_answer(session, page(port)) == "connector_broken: connection reset by peer"


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (b"", "it closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the answer is not HTTP"),
    ],
)
async def test_what_is_no_answer(session: aiohttp.ClientSession, answer: bytes, detail: str) -> None:
    async with listening(answering(answer)) as port:
        assert await no_answer(session, page(port)) == f"connector_broken: {detail}"


async def test_tls(session: aiohttp.ClientSession) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(server)
    trusting, distrusting = ssl.create_default_context(), ssl.create_default_context()
    authority.configure_trust(trusting)
    stranger.configure_trust(distrusting)
    async with listening(answering(head(200, negotiate(PROOF))), server) as port:
        response = await sign_in(session, page(port, trusting), Proof(), ticket())
        response.close()
        refused = await no_answer(session, page(port, distrusting))
    assert refused.startswith("connector_unreachable: certificate refused: unable to get local issuer certificate")


async def test_a_hanging_connector_is_left_to_the_callers_patience(session: aiohttp.ClientSession) -> None:
    async with listening(hanging) as port:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await request(session, page(port))
