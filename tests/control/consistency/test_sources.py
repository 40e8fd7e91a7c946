from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
from pathlib import Path

import pytest

from lbproxy.control.consistency.page import PageRequest
from lbproxy.control.consistency.places import at_pointer, in_header
from lbproxy.control.consistency.reading import LONGEST_VALUE, Reading, shortened
from lbproxy.control.consistency.sources import CertificateSource, KeySource, PageSource
from lbproxy.control.probes.connector import open_session
from tests.control.probes.backends import behind_proxy_protocol, hanging, listening, unused_port
from tests.pki import Authority, der

HOST = "login.corp.example"
AMPLE = 10.0


async def test_all_facts_of_a_page_are_read_of_one_answer() -> None:
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"version": "1.8.0", "key": "x" * 500}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nServer: demo\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    places = {
        "version": at_pointer("/version"),
        "key": at_pointer("/key"),
        "server": in_header("Server"),
        "build": at_pointer("/build"),
    }
    async with open_session() as session, listening(serve) as port:
        read = await PageSource(
            PageRequest(session, f"http://127.0.0.1:{port}/", f"http://{HOST}", AMPLE), places
        ).read()
    assert read == {
        "version": Reading("1.8.0"),
        "key": Reading(shortened("x" * 500)),
        "server": Reading("demo"),
        "build": Reading(None, "the page has no /build"),
    }
    assert len(read["key"].value or "") < LONGEST_VALUE
    assert asked == 1


async def test_without_an_answer_no_fact_is_known() -> None:
    async with open_session() as session:
        request = PageRequest(session, f"http://127.0.0.1:{unused_port()}/", f"http://{HOST}", AMPLE)
        read = await PageSource(request, dict.fromkeys(["a", "b"], in_header("Server"))).read()
    assert read == dict.fromkeys(["a", "b"], Reading(None, "connection refused"))


# --- certificates

ROOT = Authority.root()
LOGIN = ROOT.server(HOST)
FINGERPRINT = hashlib.sha256(der(LOGIN.certificate)).hexdigest()


@pytest.fixture
def server(tmp_path: Path) -> ssl.SSLContext:
    files = LOGIN.write(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.chain, files.key)
    return context


def certificate(port: int, timeout: float = AMPLE, greeting: bytes = b"") -> CertificateSource:
    believing = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    believing.check_hostname = False
    believing.verify_mode = ssl.CERT_NONE
    return CertificateSource("certificate", "127.0.0.1", port, timeout, believing, HOST, greeting)


async def test_a_certificates_fingerprint(server: ssl.SSLContext) -> None:
    async with listening(hanging, server) as port:
        assert await certificate(port).read() == {"certificate": Reading(FINGERPRINT)}
        async with behind_proxy_protocol(port) as expecting:
            source = certificate(expecting, greeting=b"PROXY UNKNOWN\r\n")
            assert await source.read() == {"certificate": Reading(FINGERPRINT)}


async def test_no_certificate() -> None:
    assert await certificate(unused_port()).read() == {"certificate": Reading(None, "connection refused")}
    async with listening(hanging) as port:
        read = await certificate(port, timeout=0.05).read()
    assert read == {"certificate": Reading(None, "no answer within 0.05 s")}


# --- keys


async def test_the_version_of_a_key() -> None:
    seen: list[int | None] = [None]
    source = KeySource("kvno", lambda: seen[-1])
    assert await source.read() == {"kvno": Reading(None, "no ticket was accepted yet")}
    seen.append(3)
    assert await source.read() == {"kvno": Reading("3")}
