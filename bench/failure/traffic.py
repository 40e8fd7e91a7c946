"""The users: an open loop of requests, each with an id of its own, as records of how they ended.

Run as a program, it prints one JSON line a request. A request is due at a fixed time, whether or not earlier ones were
answered, and its latency begins when it is due: a proxy that stalls cannot make the users wait with asking.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click
import uvloop

from bench.failure.connector import answer
from bench.heads import BROWSER, head
from bench.processes import LOAD_CORE, Child

PATIENCE = 8.0  # seconds that a user waits for an answer
POST_EACH = 4  # one request of so many is a POST
OK = "ok"
_FORM = b"wresult=" + b"x" * 100


@dataclass(frozen=True, slots=True)
class Record:
    """One request: when it was due (monotonic), after how many seconds it ended, and how: OK or a kind of failure."""

    number: int
    method: str
    due: float
    took: float
    end: str


class Traffic(Child):
    """Users of 127.0.0.1:`port`: `rate` requests a second for `seconds`, from the monotonic time `start` on."""

    def __init__(self, directory: Path, port: int, rate: int, seconds: float, start: float) -> None:
        arguments = map(str, (port, rate, seconds, start))
        super().__init__("traffic", [sys.executable, "-m", "bench.failure.traffic", *arguments], LOAD_CORE, directory)

    def records(self) -> list[Record]:
        """Wait until all have ended."""
        self.wait()
        return [Record(**json.loads(line)) for line in self.output.read_text().splitlines()]


def method_of(number: int) -> str:
    return "POST" if number % POST_EACH == 0 else "GET"


def request(number: int) -> bytes:
    """The whole request, as a browser sends it."""
    if method_of(number) == "GET":
        return head(BROWSER, target=f"/wsfed?id={number}")
    form = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(_FORM))}
    return head(BROWSER | form, "POST", f"/wsfed?id={number}") + _FORM


class Connection:
    """A client connection; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.reusable = True

    @property
    def usable(self) -> bool:
        """Whether it may have another request, as far as one can see from here."""
        return self.reusable and not self._reader.at_eof() and not self._writer.is_closing()

    def close(self) -> None:
        self._writer.close()

    async def ask(self, number: int) -> str:
        """Send the request of this number and read its answer; how that ended."""
        self._writer.write(request(number))
        try:
            raw = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            return "cut in the head" if error.partial else "closed"
        status, lines = raw[9:12], raw.lower()
        self.reusable = b"\r\nconnection: close" not in lines
        expected = answer(str(number).encode()).partition(b"\r\n\r\n")[2]
        if status != b"200":
            self.reusable = False  # its body is of no interest
            return status.decode("latin-1")
        try:
            body = await self._reader.readexactly(len(expected))
        except asyncio.IncompleteReadError:
            return "cut in the body"
        return OK if body == expected else "wrong body"


class Users:
    """Asks over kept connections, as many as are needed at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[Connection] = []
        self.records: list[Record] = []

    async def ask(self, number: int, due: float) -> None:
        """One request, from when it is due to its end; it becomes a record."""
        end = await self._end_of(number)
        self.records.append(Record(number, method_of(number), due, time.monotonic() - due, end))

    def close(self) -> None:
        for connection in self._idle:
            connection.close()

    async def _end_of(self, number: int) -> str:
        connection: Connection | None = None
        try:
            async with asyncio.timeout(PATIENCE):
                connection = self._kept() or await self._opened()
                end = await connection.ask(number)
        except TimeoutError:
            end = "no answer"
        except ConnectionError:
            end = "reset"
        if connection is not None:
            self._give_back(connection, end)
        return end

    def _kept(self) -> Connection | None:
        while self._idle:
            if (connection := self._idle.pop()).usable:
                return connection
            connection.close()
        return None

    async def _opened(self) -> Connection:
        return Connection(*await asyncio.open_connection("127.0.0.1", self._port))

    def _give_back(self, connection: Connection, end: str) -> None:
        if end == OK and connection.usable:
            self._idle.append(connection)
        else:
            connection.close()


async def _run(port: int, rate: int, seconds: float, start: float) -> Iterable[Record]:
    users = Users(port)
    async with asyncio.TaskGroup() as asking:
        for number in range(int(rate * seconds)):
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            asking.create_task(users.ask(number, due))
    users.close()
    return users.records


@click.command()
@click.argument("port", type=int)
@click.argument("rate", type=int)
@click.argument("seconds", type=float)
@click.argument("start", type=float)
def main(port: int, rate: int, seconds: float, start: float) -> None:
    """RATE requests a second to 127.0.0.1:PORT for SECONDS, from the monotonic time START on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that started it, which ends it
    for record in uvloop.run(_run(port, rate, seconds, start)):
        fields = {name: getattr(record, name) for name in Record.__dataclass_fields__}
        click.echo(json.dumps(fields))


if __name__ == "__main__":
    main()
