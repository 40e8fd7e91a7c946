"""Facts over HTTP: to this host, or to those with a certificate."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lbproxy.errors import InstanceError
from lbproxy.instance.facts import Facts, FactsServer, RenewedTls, TlsFiles, read_facts, server_context
from lbproxy.instance.model import Where
from tests.instance.connector import SECRET, Connector
from tests.pki import Authority

SOME = Facts(kind="auth0", key_id="k", facts={"version": "6.1.2"})


@asynccontextmanager
async def serving(read: Callable[[], Facts], tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, list[str]]]:
    told: list[str] = []
    server = FactsServer(read, told.append)
    host, port = await server.start("127.0.0.1", 0, tls)
    try:
        yield f"{'https' if tls else 'http'}://{host}:{port}", told
    finally:
        await server.stop()


async def get(url: str, tls: ssl.SSLContext | None = None) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.get(url, ssl=tls or True) as response:
        return response.status, await response.json() if response.content_type == "application/json" else None


def test_are_those_of_the_files_and_tell_no_secret(tmp_path: Path) -> None:
    connector = Connector.make(tmp_path / "c")
    found = read_facts("auth0", Where(connector.directory))
    assert found.facts["server_url"] == "https://login.corp.example"
    assert SECRET not in found.model_dump_json()


async def test_are_read_anew_each_time(tmp_path: Path) -> None:
    connector = Connector.make(tmp_path / "c")
    async with serving(lambda: read_facts("auth0", Where(connector.directory))) as (url, _):
        assert (await get(f"{url}/facts"))[1]["facts"]["server_url"] == "https://login.corp.example"
        connector.set(SERVER_URL="https://other")
        assert (await get(f"{url}/facts"))[1]["facts"]["server_url"] == "https://other"
        assert (await get(f"{url}/"))[0] == 404


async def test_trouble_is_told_once_and_is_no_fact(tmp_path: Path) -> None:
    connector = Connector.make(tmp_path / "c")
    config = (connector.directory / "config.json").read_text()
    async with serving(lambda: read_facts("auth0", Where(connector.directory))) as (url, told):
        (connector.directory / "config.json").write_text("{")
        for _ in range(2):
            assert await get(f"{url}/facts") == (503, {"error": "config.json, line 1: is not JSON"})
        assert told == ["the facts cannot be read: config.json, line 1: is not JSON"]
        (connector.directory / "config.json").write_text(config)
        assert (await get(f"{url}/facts"))[0] == 200


async def test_only_those_with_a_certificate_get_them(tmp_path: Path) -> None:
    root, balancers, others = Authority.root(), Authority.root("balancers"), Authority.root("others")
    server = root.server("127.0.0.1").write(tmp_path, "server")
    root.write_certificate(tmp_path / "root.pem")
    tls = server_context(TlsFiles(server.chain, server.key, balancers.write_certificate(tmp_path / "balancers.pem")))

    def client(authority: Authority | None) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=tmp_path / "root.pem")
        if authority is not None:
            shown = authority.issue("lb1").write(tmp_path, "lb1")
            made.load_cert_chain(shown.chain, shown.key)
        return made

    async with serving(lambda: SOME, tls) as (url, _):
        assert (await get(f"{url}/facts", client(balancers)))[1] == SOME.model_dump()
        for authority in (None, others):
            with pytest.raises(aiohttp.ClientError):
                await get(f"{url}/facts", client(authority))


async def test_renewed_files_are_used_for_the_next_connection(tmp_path: Path) -> None:
    """A certificate is renewed in its place every few weeks, and nobody starts the server again."""
    old, new, asking, others = (Authority.root(name) for name in ("old", "new", "asking", "others"))
    server = old.server("127.0.0.1").write(tmp_path, "server")
    client_ca = asking.write_certificate(tmp_path / "balancers.pem")
    told: list[str] = []
    tls = RenewedTls(TlsFiles(server.chain, server.key, client_ca), told.append)

    async def asks(server_ca: Authority, client: Authority) -> bool:
        made = ssl.create_default_context(cafile=server_ca.write_certificate(tmp_path / "trusted.pem"))
        shown = client.issue("lb1").write(tmp_path, "lb1")
        made.load_cert_chain(shown.chain, shown.key)
        try:
            return (await get(f"{url}/facts", made))[0] == 200
        except aiohttp.ClientError:
            return False

    async with serving(lambda: SOME, tls.context) as (url, _):
        assert await asks(old, asking)
        new.server("127.0.0.1").write(tmp_path, "server")
        assert (await asks(new, asking), await asks(old, asking)) == (True, False)
        others.write_certificate(client_ca)
        assert (await asks(new, others), await asks(new, asking)) == (True, False)
        server.chain.write_text("half a cert")
        assert (await asks(new, others), await asks(new, others)) == (True, True)
    [trouble] = told
    assert f"{server.chain}" in trouble
    assert trouble.endswith("; the files from before are used")


def test_files_that_are_not_fit_for_tls(tmp_path: Path) -> None:
    files = Authority.root().server("127.0.0.1").write(tmp_path, "server")
    with pytest.raises(InstanceError, match=r"missing\.pem: cannot be used for TLS"):
        server_context(TlsFiles(files.chain, files.key, tmp_path / "missing.pem"))
    with pytest.raises(InstanceError, match="cannot be used for TLS"):
        server_context(TlsFiles(files.key, files.chain, files.chain))


async def test_an_address_that_is_taken() -> None:
    async with serving(lambda: SOME) as (url, _):
        port = int(url.rpartition(":")[2])
        with pytest.raises(InstanceError, match=f"127.0.0.1:{port}: "):
            await FactsServer(lambda: SOME, print).start("127.0.0.1", port, None)
