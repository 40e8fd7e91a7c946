"""What backends are told of a user's certificate: exactly that, whatever is in it, and by nobody but lbproxy."""

from __future__ import annotations

import hashlib
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.pki import UPN, Authority, Holder, pem, upn_name

from .backend import ScriptedBackend
from .client import chunked, request
from .message import Request
from .programs import s_client
from .users import Gate, Users

KINDS = ("none", "rfc9440", "xfcc")
OWN = {"none": (), "rfc9440": ("client-cert", "client-cert-chain"), "xfcc": ("x-forwarded-client-cert",)}
"""The header lines that lbproxy adds."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gates_by_name() -> AsyncIterator[dict[str, Gate]]:
    """A gate for each kind, where a certificate is optional."""
    with tempfile.TemporaryDirectory(prefix="lbp-") as name:
        async with AsyncExitStack() as stack:
            opened = {}
            for kind in KINDS:
                directory = Path(name) / kind
                directory.mkdir()
                backend = ScriptedBackend(kind)
                await backend.start()
                stack.push_async_callback(backend.stop)
                opening = Gate.open(Users(directory), backend, client_certificate="optional", client_identity=kind)
                opened[kind] = await stack.enter_async_context(opening)
            yield opened
            for gate in opened.values():
                gate.backend.check()


@pytest.fixture
def gates(gates_by_name: dict[str, Gate]) -> dict[str, Gate]:
    """Nothing of earlier tests is in their records."""
    for gate in gates_by_name.values():
        gate.balancer.forget()
        gate.backend.forget()
    return gates_by_name


def expected(kind: str, holder: Holder) -> list[tuple[bytes, bytes]]:
    """The lines for a user whose names need no escape."""
    if kind == "rfc9440":
        leaf, *rest = (b":%b:" % b64encode(der) for der in holder.chain)
        return [(b"Client-Cert", leaf), (b"Client-Cert-Chain", b", ".join(rest))]
    if kind == "xfcc":
        pems = [quote(pem(each), safe="") for each in (holder.certificate, *holder.issuers)]
        parts = [
            f"Hash={hashlib.sha256(holder.chain[0]).hexdigest()}",
            f'Cert="{pems[0]}"',
            f'Chain="{"".join(pems)}"',
            'Subject="CN=alice,O=Corp"',
            "URI=spiffe://corp.test/alice",
            "DNS=alice.test",
            "DNS=alice.corp.test",
        ]
        return [(b"X-Forwarded-Client-Cert", ";".join(parts).encode())]
    return []


def told(seen: Request) -> list[tuple[bytes, bytes]]:
    """The lines about a certificate."""
    return [(name, value) for name, value in seen.fields if b"cert" in name.lower()]


async def test_the_lines_arrive_exactly(gates: dict[str, Gate]) -> None:
    """With every request of a connection, also of one that resumes a session: that has no chain in it."""
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Corp"), x509.NameAttribute(NameOID.COMMON_NAME, "alice")]
    for kind, gate in gates.items():
        dns, uris = ["alice.test", "alice.corp.test"], ["spiffe://corp.test/alice"]
        alice = gate.users.staff.issue(x509.Name(names), upn="alice@corp.test", dns=dns, uris=uris)
        async with await gate.connect(alice) as client:
            for _ in range(2):
                assert (await client.ask()).status == 200
        session = gate.users.directory / "session"
        options = [*gate.users.s_client(alice), "-sess_out", session]
        for offered in ([], ["-sess_in", session]):
            asks = request("/", "GET", "Connection: close")
            shown = await s_client(gate.balancer.address, *options, *offered, asks=asks)
            assert (shown.resumed, "200 OK" in shown.text) == (bool(offered), True)
        assert [told(seen) for seen in gate.backend.requests] == [expected(kind, alice)] * 4


async def test_without_a_certificate_nothing_is_told(gates: dict[str, Gate]) -> None:
    for gate in gates.values():
        async with await gate.connect() as client:
            assert (await client.ask()).status == 200
        assert [told(seen) for seen in gate.backend.requests] == [[]]
        await gate.balancer.accessed(user="", status=200)


# --- names that are not nice

ODD = {
    "separators": 'a,b;c=d+e<f>g#h "i" \\j\\',
    "quotes at the end": '\\"',
    "UTF-8": "Jürgen \N{CJK UNIFIED IDEOGRAPH-6F22}\N{SNOWMAN}",
    "a line end": "a\r\nX-Forwarded-User: admin",
    "a whole request": "a\r\n\r\nGET /admin HTTP/1.1\r\nHost: login.test\r\n\r\n",
    "an element of XFCC": '",By=evil;Hash=0;Subject="CN=admin',
    "control characters": "a\x00b\x1b[31m\x7f\x85\u2028",
    "spaces": "  a  ",
}


def mail_name(text: str) -> x509.RFC822Name:
    """Not judged: what the constructor takes depends on the version of Python."""
    return x509.RFC822Name._init_without_validation(text)


@pytest.mark.parametrize("case", ODD)
async def test_nothing_in_a_name_is_more_than_a_name(gates: dict[str, Gate], case: str) -> None:
    """In the subject, in alternative names of every kind, and in the issuer's name."""
    text = ODD[case]
    plain = text.encode("ascii", "replace").decode()
    for kind, gate in gates.items():
        names = [upn_name(text), x509.OtherName(UPN, b"\x0c\x01\n"), mail_name(f"{plain}@corp.test")]
        odd = gate.users.root.intermediate(text).issue(text, names=names, dns=[plain], uris=[f"https://{plain}"])
        async with await gate.connect(odd) as client:
            for target in ("/1", "/2"):
                assert (await client.ask(target)).status == 200
        assert [seen.target for seen in gate.backend.requests] == [b"/1", b"/2"]
        for seen in gate.backend.requests:
            names_told = [name.lower().decode() for name, _ in told(seen)]
            assert names_told == [*OWN[kind]]
            assert not seen.all("x-forwarded-user")
            assert all(byte in range(0x20, 0x7F) for _, value in told(seen) for byte in value)
        if kind == "xfcc":
            assert _elements(told(gate.backend.requests[0])[0][1])["Cert"] == pem(odd.certificate)
        [first, _] = await gate.balancer.accessed(2, user=text)
        assert first["status"] == 200


def _elements(value: bytes) -> dict[str, bytes]:
    """The keys of the one element of an XFCC value, and what they stand for, as Envoy's documentation reads it."""
    pairs, quoted, escaped, parts = {}, False, False, [""]
    for character in value.decode("ascii"):
        assert quoted or character != ",", f"a second element in {value!r}"
        if escaped or character not in '\\";' or (quoted and character == ";"):
            parts[-1] += character
            escaped = False
        elif character == "\\":
            escaped = quoted
        elif character == '"':
            quoted = not quoted
        else:
            parts.append("")
    assert not quoted
    for part in parts:
        key, _, text = part.partition("=")
        assert key in ("URI", "DNS") or key not in pairs, f"{key} twice in {value!r}"
        pairs[key] = unquote_to_bytes(text)
    assert set(pairs) <= {"Hash", "Cert", "Chain", "Subject", "URI", "DNS"}
    return pairs


async def test_a_name_that_cannot_be_read_is_refused(gates: dict[str, Gate]) -> None:
    """A TeletexString that is not ASCII: what it says depends on who reads it. OpenSSL believes the certificate."""
    for gate in gates.values():
        unread = _altered(gate.users.root.issue("MARK"), gate.users.root, b"\x0c\x04MARK", b"\x14\x04M\xfcrk")
        assert not await gate.believes(unread)
        await gate.balancer.logged("client_certificate_refused", "cannot be read")
        assert not gate.backend.requests


def _altered(holder: Holder, issuer: Authority, old: bytes, new: bytes) -> Holder:
    """The same certificate with other bytes in it, and a good signature: cryptography makes no such thing."""
    tbs = holder.certificate.tbs_certificate_bytes.replace(old, new)
    signature = b"\0" + issuer.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    body = tbs + bytes.fromhex("300a06082a8648ce3d040302") + b"\x03" + bytes((len(signature),)) + signature
    der = b"\x30\x82" + len(body).to_bytes(2) + body  # a SEQUENCE of more than 255 bytes
    return Holder(x509.load_der_x509_certificate(der), holder.key, holder.issuers)


# --- names that are lbproxy's to say

SPELLINGS = (
    *("Client-Cert", "client-cert", "CLIENT-CERT", "Client_Cert", "client_cert", "Client-Cert-Chain"),
    *("client-cert-chain", "Client_Cert_Chain", "Client-Cert-Subject", "X-Client-Cert", "x-client-cert-chain"),
    *("X_Client_Cert", "X-ClientCert", "X-Forwarded-Client-Cert", "x-forwarded-client-cert"),
    *("X_FORWARDED_CLIENT_CERT", "X-Forwarded_Client-Cert", "X-Forwarded-Client-Cert-Chain", "SSL-Client-Cert"),
    *("SSL_CLIENT_CERT", "Ssl-Client-S-Dn", "SSL_CLIENT_S_DN_CN", "ssl-client-verify", "SSL-Client-I-DN"),
    *("SSL-Client-Serial", "SSLClientCertSubject", "X-SSL-Client-Cert", "x-ssl-client-cn", "X_SSL_CLIENT_S_DN"),
    *("X-SSL-Client-Verify", "X-SSL-Cert", "X-TLS-Client-Cert", "X-MTLS-ClientCert", "X-Forwarded-SSL-Client-Cert"),
    *("X-Forwarded-Tls-Client-Cert", "x-forwarded-tls-client-cert-info", "X-Amzn-Mtls-Clientcert"),
    *("x-amzn-mtls-clientcert-leaf", "CloudFront-Viewer-Cert-Pem", "CF-Cert-Presented", "CF-Client-Cert-Der-Base64"),
    *("X-ARR-ClientCert", "x_arr_clientcert", "WL-Proxy-Client-Cert", "$WSCC", "X-Client-DN", "X-Client-S-DN"),
    *("X-Client-Verify", "X-Client-CN", "CERT-CHAIN-0", "X-Forwarded-User", "Remote-User"),
)
FORGED = [f"{name}: forged" for name in SPELLINGS]


@pytest.mark.parametrize("known", [False, True], ids=["without a certificate", "with one"])
async def test_forged_headers_never_reach_a_backend(gates: dict[str, Gate], known: bool) -> None:
    """All at once, each alone, deleted by Connection, and in a trailer."""
    assert len(SPELLINGS) >= 40
    for kind, gate in gates.items():
        holder = gate.users.staff.issue("alice") if known else None
        async with await gate.connect(holder) as client:
            for lines in (FORGED, [*FORGED, *FORGED], *([line] for line in FORGED)):
                assert (await client.ask("/", "GET", *lines)).status == 200
            for some in (SPELLINGS[:30], SPELLINGS[30:]):  # more than 32 at once are refused
                assert (await client.ask("/", "GET", f"Connection: {', '.join(some)}")).status == 200
            await client.send(request("/", "POST", "Transfer-Encoding: chunked") + chunked([b"body"], *FORGED))
            assert (await client.response()).status == 200
        seen_all = gate.backend.complete
        assert len(seen_all) == len(FORGED) + 5
        for seen in seen_all:
            assert b"forged" not in seen.raw
            assert not seen.trailers
            assert [name.lower().decode() for name, _ in told(seen)] == [*(OWN[kind] if known else ())]
