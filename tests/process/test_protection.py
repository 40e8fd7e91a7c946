"""Extended protection is judged by what both hops really present."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import trustme

from lbproxy.config import Config, load
from lbproxy.process.protection import Finding, judge, keep_judging

CONFIG = """
server_url = "https://login.test"
[listener.login]
bind = "127.0.0.1:0"
pool = "connectors"
[listener.login.tls]
certificate = "c.pem"
key = "k.pem"
[pool.connectors]
connect_timeout = "{timeout}"
backends = [{{ name = "c1", url = "{scheme}://127.0.0.1:{port}" }}]
"""

CA = trustme.CA()
OURS, THEIRS = CA.issue_cert("login.test"), CA.issue_cert("login.test")


def configuration(tmp_path: Path, port: int, scheme: str = "https", timeout: str = "5s") -> Config:
    for name, blob in (("c.pem", OURS.cert_chain_pems[0]), ("k.pem", OURS.private_key_pem)):
        blob.write_to_path(tmp_path / name)
    path = tmp_path / "lb.toml"
    path.write_text(CONFIG.format(port=port, scheme=scheme, timeout=timeout))
    return load(path)


async def found(tmp_path: Path, certificate: trustme.LeafCert) -> Finding:
    """The finding for a backend that presents `certificate`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0, ssl=context)
    async with server:
        findings = await judge(configuration(tmp_path, server.sockets[0].getsockname()[1]))
    return findings["connectors", "c1"]


async def test_the_same_certificate_on_both_hops_works(tmp_path: Path) -> None:
    assert (await found(tmp_path, OURS)).label == "works"


async def test_another_one_cannot_and_the_two_ways_out_are_named(tmp_path: Path) -> None:
    finding = await found(tmp_path, THEIRS)
    assert finding.label == "cannot"
    assert "same one" in finding.text
    assert "pass TLS through" in finding.text


async def test_a_backend_that_is_down_is_unknown(tmp_path: Path) -> None:
    findings = await judge(configuration(tmp_path, 9))
    assert findings["connectors", "c1"].label == "unknown"


async def test_a_backend_that_says_nothing_is_unknown(tmp_path: Path) -> None:
    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(wait, "127.0.0.1", 0)
    async with server:
        findings = await judge(configuration(tmp_path, server.sockets[0].getsockname()[1], timeout="100ms"))
    assert findings["connectors", "c1"].label == "unknown"
    assert "within 0.1 s" in findings["connectors", "c1"].text


async def test_a_plain_backend_has_nothing_to_compare(tmp_path: Path) -> None:
    assert await judge(configuration(tmp_path, 9, scheme="http")) == {}


async def test_it_is_told_at_once(tmp_path: Path) -> None:
    told: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(keep_judging(configuration(tmp_path, 9, scheme="http"), told.set_result))
    assert await told == {}
    task.cancel()
