"""Traces come to a collector (oteltap, a receiver of OTLP), plain and over TLS, from one process and from workers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from oteltap import OtelTapHttpProtobufReceiver, OtelTapHttpProtobufReceiverSettings

from tests.ports import free_port

from .backend import Lane, serve
from .conftest import Backends, Balance
from .tls import Authority

SPANS = 5  # of a request over a new lane, without TLS


@asynccontextmanager
async def collecting() -> AsyncIterator[tuple[OtelTapHttpProtobufReceiver, int]]:
    port = free_port()
    async with OtelTapHttpProtobufReceiver(OtelTapHttpProtobufReceiverSettings(http_port=port)) as receiver:
        yield receiver, port


async def spans_of(receiver: OtelTapHttpProtobufReceiver, number: int) -> list[Span]:
    """The next `number` spans."""
    found: list[Span] = []
    async with asyncio.timeout(30):
        async for span in receiver.stream_traces():
            found.append(span)
            if len(found) == number:
                return found
    raise AssertionError("the receiver has ended")


def attributes(span: Span) -> dict[str, Any]:
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in span.attributes}


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_collector_gets_the_spans(backends: Backends, balance: Balance, workers: int) -> None:
    [backend] = await backends()
    async with collecting() as (receiver, port):
        tracing = {"endpoint": f"http://127.0.0.1:{port}", "sample": 1.0}
        balancer = await balance(backend, workers=workers, tracing=tracing)
        await balancer.ask("/a?token=secret", "GET", "Authorization: Basic c2VjcmV0", "Cookie: secret")
        spans = await spans_of(receiver, SPANS)
        [root] = [span for span in spans if not span.parent_span_id]
        [seen] = backend.requests
        assert seen.get("traceparent") == f"00-{root.trace_id.hex()}-{root.span_id.hex()}-01".encode()
        [record] = await balancer.accessed(1)
        assert record["trace_id"] == root.trace_id.hex()
        values = attributes(root)
        assert (values["url.path"], values["lbproxy.backend"], values["lbproxy.reason"]) == ("/a", "c1", "done")
        assert values["lbproxy.request_id"] == record["request_id"]
        names = {span.name for span in spans}
        assert names == {"GET", "waiting", "connect", "first byte", "answer"}
        assert not any(secret in str(span) for span in spans for secret in ("secret", "c2VjcmV0", "token"))
        counted = (await balancer.until(lambda now: now["tracing"]["exported"]))["tracing"]
        assert counted == {"sampled": 1, "exported": 1, "dropped": 0}


async def test_a_collector_behind_tls(
    backends: Backends, balance: Balance, authority: Authority, directory: Path
) -> None:
    [backend] = await backends()
    certificate = authority.write(directory, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    async with collecting() as (receiver, port), ending_tls(context, port) as secure:
        ca = str(authority.write_ca(directory / "ca.pem"))
        tracing = {"endpoint": f"https://127.0.0.1:{secure}", "sample": 1.0, "ca": ca}
        balancer = await balance(backend, tracing=tracing)
        await balancer.ask()
        assert len(await spans_of(receiver, SPANS)) == SPANS


@asynccontextmanager
async def ending_tls(context: ssl.SSLContext, port: int) -> AsyncIterator[int]:
    """The port of one that ends TLS in front of another one."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_a_collector_that_is_away_costs_no_request(backends: Backends, balance: Balance) -> None:
    [backend] = await backends()
    tracing = {"endpoint": f"http://127.0.0.1:{free_port()}", "sample": 1.0}
    balancer = await balance(backend, tracing=tracing)
    async with await balancer.connect() as client:
        for _ in range(20):
            assert (await client.ask()).status == 200
    snapshot = await balancer.until(lambda now: now["tracing"]["dropped"])
    assert snapshot["tracing"]["exported"] == 0


async def test_a_request_that_fails_on_one_backend(backends: Backends, balance: Balance) -> None:
    async def closes(lane: Lane) -> None:
        await lane.request()

    bad, good = await backends(closes, serve)
    async with collecting() as (receiver, port):
        tracing = {"endpoint": f"http://127.0.0.1:{port}", "sample": 1.0}
        balancer = await balance(bad, good, tracing=tracing)
        assert (await balancer.ask()).status == 200
        spans = await spans_of(receiver, SPANS + 1)
        [attempt] = [span for span in spans if span.name == "attempt"]
        assert attributes(attempt) == {"lbproxy.backend": "c1", "lbproxy.reason": "lane_lost"}
        [seen] = good.requests
        assert seen.get("traceparent") == bad.requests[0].get("traceparent")


async def test_without_a_collector_traces_are_only_passed_on(backends: Backends, balance: Balance) -> None:
    [backend] = await backends()
    balancer = await balance(backend, tracing={"sample": 0.0})
    await balancer.ask("/", "GET", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    [value] = backend.requests[0].all("traceparent")
    assert value.startswith(b"00-0af7651916cd43dd8448eb211c80319c-")
    assert value.endswith(b"-00")
    assert (await balancer.status())["tracing"] == {"sampled": 0, "exported": 0, "dropped": 0}
