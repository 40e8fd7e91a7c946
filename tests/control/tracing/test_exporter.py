"""The exporter beside collectors that take what they get, and such as do not."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from lbproxy.control.tracing import exporter as module
from lbproxy.control.tracing.exporter import LIMIT, Collector, Exporter
from tests.control.tracing.samples import made
from tests.net.peers import PATIENCE, until


class Receiver:
    """A collector: keeps what it gets, and answers with `status` and `body`."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.status, self.body = 200, b""
        self.came = asyncio.Event()
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        message = ExportTraceServiceRequest()
        message.ParseFromString(await request.read())
        self.requests.append(message)
        self.came.set()
        return web.Response(status=self.status, body=self.body)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_post("/v1/traces", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


async def test_a_collector_gets_what_was_put(receiver: Receiver) -> None:
    exporter = Exporter(Collector(receiver.url, "the service"))
    assert exporter.put([made(), made(status=503)])
    await until(lambda: exporter.exported == 2)
    [message] = receiver.requests
    [spans] = message.resource_spans
    assert {one.key: one.value.string_value for one in spans.resource.attributes}["service.name"] == "the service"
    assert len({span.trace_id for span in spans.scope_spans[0].spans}) == 1
    await asyncio.to_thread(exporter.close)
    assert exporter.counted() == {"sampled": 0, "exported": 2, "dropped": 0}


async def test_what_waits_at_the_end_is_sent(receiver: Receiver) -> None:
    exporter = Exporter(Collector(receiver.url, "lbproxy"))
    exporter.put([made()])
    await asyncio.to_thread(exporter.close, PATIENCE)
    assert (exporter.exported, len(receiver.requests)) == (1, 1)


@pytest.mark.parametrize(("status", "body"), [(400, b"no"), (500, b"\xff" * 100_000), (404, b"<html>")])
async def test_one_that_refuses_loses_them(
    receiver: Receiver, status: int, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status, receiver.body = status, body
    exporter = Exporter(Collector(receiver.url, "lbproxy"))
    exporter.put([made()])
    await until(lambda: exporter.dropped == 1)
    with caplog.at_level(logging.WARNING, "lbproxy"):
        await asyncio.to_thread(exporter.close)
    [record] = [record for record in caplog.records if record.getMessage() == "traces_lost"]
    fields = record.__dict__["fields"]
    assert (fields["traces"], fields["collector"]) == (1, receiver.url)
    assert str(status) in fields["error"]


async def test_one_that_is_not_there_loses_them() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    exporter = Exporter(Collector(f"http://127.0.0.1:{port}", "lbproxy"))
    exporter.put([made()])
    await until(lambda: exporter.dropped == 1)
    await asyncio.to_thread(exporter.close)


@pytest.mark.parametrize("said", [b"", b"\0\1nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n" + b"endless" * 100])
async def test_one_that_talks_nonsense_or_nothing_is_left(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer is not read further than the head, and has a limit of time."""
    monkeypatch.setattr(module, "TIMEOUT", 0.5)
    heard = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(said)
        heard.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    exporter = Exporter(Collector(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "lbproxy"))
    exporter.put([made()])
    await heard.wait()
    await until(lambda: exporter.dropped + exporter.exported == 1)
    await asyncio.to_thread(exporter.close)
    server.close()
    assert exporter.exported == (200 in [int(said[9:12])] if said.startswith(b"HTTP") else 0)


async def test_no_more_than_the_limit_wait() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:  # accepts, and never answers
        exporter = Exporter(Collector(f"http://127.0.0.1:{sock.getsockname()[1]}", "lbproxy"))
        for _ in range(LIMIT + 100):
            assert exporter.put([made()])
        assert 0 < exporter.dropped <= 100
        exporter.close(0.01)


async def test_over_tls(receiver: Receiver, tmp_path: Path) -> None:
    """The collector is verified, and sees a certificate if there is one."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    own = ca.issue_cert("balancer.test")
    own.cert_chain_pems[0].write_to_path(tmp_path / "own.pem")
    own.private_key_pem.write_to_path(tmp_path / "own.key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    context.load_verify_locations(cadata=ca.cert_pem.bytes().decode())
    context.verify_mode = ssl.CERT_REQUIRED
    app = web.Application()
    app.router.add_post("/otlp/v1/traces", receiver.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}/otlp"
    files = (tmp_path / "ca.pem", tmp_path / "own.pem", tmp_path / "own.key")
    exporters = [Exporter(Collector(url, "lbproxy", *files)), Exporter(Collector(url, "lbproxy"))]
    for exporter in exporters:
        exporter.put([made()])
    await until(lambda: exporters[0].exported == exporters[1].dropped == 1)
    for exporter in exporters:
        await asyncio.to_thread(exporter.close)
    await runner.cleanup()
    assert len(receiver.requests) == 1, "the second one does not trust it"
