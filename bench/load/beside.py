"""Small requests beside a load that keeps the proxy busy: what do those wait who want little?

Run as a program, on the load core, beside wrk. It opens connections, each of which asks once and closes, and asks as
often over kept connections that were opened before. It is an open loop: each request is due at a fixed time, whether or
not earlier ones were answered, and its latency begins then and ends with the whole answer. So the time to connect, and
of the handshake if there is one, is in it for a new connection.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import cast

import click
import uvloop

from bench.errors import BenchError
from bench.heads import HOST, head
from bench.load.handshakes import Tally, merged
from bench.load.load import RESULT, Load, result_of, wrk
from bench.load.scenario import TABLE, Scenario
from bench.load.site import Site
from bench.load.verify import client_context
from bench.processes import LOAD_CORE, Child

NEW, KEPT = "new", "kept"
"""On which connections the small requests come."""

LEAD = 1.5
"""Seconds of load before the first small request is due, and after the last one."""

CONNECTIONS = 50  # those that are kept
_PATH, _ANSWER = "/64", 64
_PATIENCE = 10.0


def busy(site: Site, seconds: int) -> tuple[Load, dict[str, Load]]:
    """wrk's load, and beside it the small requests for `seconds`: what each of them saw, by NEW and KEPT."""
    name = f"{site.name}-beside"
    start = time.monotonic() + LEAD
    command = [sys.executable, "-m", "bench.load.beside", site.scenario.name, site.port, seconds, start]
    (site.directory / f"{name}.out").unlink(missing_ok=True)  # what an earlier round has said
    with Child(name, [*map(str, command)], LOAD_CORE, site.directory) as child:
        load = wrk(site, site.active, round(seconds + 2 * LEAD))
        child.wait()
        return load, parse(child.output)


def parse(path: Path) -> dict[str, Load]:
    """The figures that the program has written to the file at `path`. Raises BenchError when they are not there."""
    try:
        return {name: Load(**figures) for name, figures in json.loads(result_of(path.read_text())).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise BenchError(f"{path}: the figures beside the load cannot be read") from error


class Answers(asyncio.Protocol):
    """A client connection that asks for one small answer at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._waiting: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass

    def data_received(self, data: bytes) -> None:
        self._received += data
        answer, end, body = self._received.partition(b"\r\n\r\n")
        if self._waiting is None or self._waiting.done() or not end or len(body) < _ANSWER:
            return
        size, self._received = len(self._received), b""
        if answer.startswith(b"HTTP/1.1 200 "):
            self._waiting.set_result(size)
        else:
            self._waiting.set_exception(ConnectionError("not the expected answer"))

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error or ConnectionResetError("closed without an answer"))

    async def ask(self, request: bytes) -> int:
        """Send `request` and wait for the whole answer: its bytes. Raises OSError, TimeoutError included."""
        assert self._transport is not None
        if self._transport.is_closing():
            raise ConnectionResetError("closed without an answer")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        async with asyncio.timeout(_PATIENCE):
            return await self._waiting

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Asker:
    """The small requests to 127.0.0.1:`port`; `tallies` are what came of them."""

    def __init__(self, scenario: Scenario, port: int) -> None:
        self.tallies = {NEW: Tally(), KEPT: Tally()}
        self._port = port
        self._request = head(scenario.headers, target=_PATH)
        self._context: ssl.SSLContext | None = client_context() if scenario.tls else None

    async def run(self, rate: int, seconds: float, start: float) -> None:
        """`rate` a second on new connections and as many on kept ones, for `seconds` from the monotonic `start` on."""
        kept = [await self._connected() for _ in range(CONNECTIONS)]
        every = CONNECTIONS / rate
        async with asyncio.TaskGroup() as asking:
            for number, connection in enumerate(kept):
                first = start + every * number / CONNECTIONS
                asking.create_task(self._keep_asking(connection, first, every, start + seconds))
            for number in range(int(rate * seconds)):
                due = start + number / rate
                await _until(due)
                asking.create_task(self._once(due))

    async def _keep_asking(self, connection: Answers, due: float, every: float, end: float) -> None:
        while due < end:
            await _until(due)
            if not await self._ask(connection, KEPT, due):
                return  # what comes now may be the answer to the request before
            due += every
        connection.close()

    async def _once(self, due: float) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                connection = await self._connected()
        except OSError:
            self.tallies[NEW].errors += 1
            return
        await self._ask(connection, NEW, due)
        connection.close()

    async def _ask(self, connection: Answers, kind: str, due: float) -> bool:
        tally = self.tallies[kind]
        try:
            size = await connection.ask(self._request)
        except OSError:
            tally.errors += 1
            connection.close()
            return False
        tally.bytes += size
        tally.took.append(time.monotonic() - due)
        return True

    async def _connected(self) -> Answers:
        loop = asyncio.get_running_loop()
        name = HOST if self._context else None
        _, connection = await loop.create_connection(
            Answers, "127.0.0.1", self._port, ssl=self._context, server_hostname=name
        )
        return connection


async def _until(due: float) -> None:
    await asyncio.sleep(max(0.0, due - time.monotonic()))


@click.command()
@click.argument("scenario", type=click.Choice(list(TABLE)))
@click.argument("port", type=int)
@click.argument("seconds", type=float)
@click.argument("start", type=float)
def main(scenario: str, port: int, seconds: float, start: float) -> None:
    """Print one line of figures: small requests beside SCENARIO at 127.0.0.1:PORT, from the monotonic time START on."""
    row = TABLE[scenario]
    asker = Asker(row, port)
    uvloop.run(asker.run(row.beside, seconds, start))
    figures = {kind: asdict(merged([tally], seconds)) for kind, tally in asker.tallies.items()}
    click.echo(RESULT + json.dumps(figures))


if __name__ == "__main__":
    main()
