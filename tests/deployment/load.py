"""Users of a balancer, each with one request after the other until TERM: python -m tests.deployment.load URL

Half of them keep their connections, the others open one for each request. It prints `begun` when each has had an
answer, and at the end a line of JSON: how many requests were answered with 200, how many met the end of a kept
connection before a byte of their answer (browsers send those again), and what happened to all others.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio import open_connection
from urllib.parse import urlsplit

USERS = 8


class Users:
    """`answered` and `closed` count requests, `lost` describes them."""

    def __init__(self, url: str) -> None:
        self.answered = self.closed = 0
        self.lost: list[str] = []
        self._url = urlsplit(url)
        self._stop = asyncio.Event()

    async def serve(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        first = [asyncio.Event() for _ in range(USERS)]
        async with asyncio.TaskGroup() as group:
            for number, event in enumerate(first):
                group.create_task(self._user(number % 2 == 0, event))
            for event in first:
                await event.wait()
            print("begun", flush=True)
        print(json.dumps({"answered": self.answered, "closed": self.closed, "lost": self.lost}), flush=True)

    async def _user(self, keeps: bool, had_one: asyncio.Event) -> None:
        while not self._stop.is_set():
            try:
                await self._connection(keeps, had_one)
            except (OSError, EOFError, ValueError) as error:
                self.lost.append(repr(error))
                had_one.set()
                await asyncio.sleep(0.05)  # a user who was refused does not try as fast as this process can

    async def _connection(self, keeps: bool, had_one: asyncio.Event) -> None:
        """Requests on one connection until either side closes it."""
        reader, writer = await open_connection(self._url.hostname, self._url.port)
        first = True
        try:
            while not self._stop.is_set():
                connection = "keep-alive" if keeps else "close"
                request = f"GET {self._url.path} HTTP/1.1\r\nHost: login.test\r\nConnection: {connection}\r\n\r\n"
                writer.write(request.encode())
                try:
                    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                except (ConnectionError, asyncio.IncompleteReadError) as error:
                    if first or (isinstance(error, asyncio.IncompleteReadError) and error.partial):
                        raise
                    self.closed += 1
                    return
                first = False
                length = head.partition("content-length: ")[2].partition("\r\n")[0]
                await reader.readexactly(int(length))
                if not head.startswith("http/1.1 200"):
                    raise ValueError(head.partition("\r\n")[0])
                self.answered += 1
                had_one.set()
                if "connection: close" in head:
                    return
        finally:
            writer.close()


if __name__ == "__main__":
    asyncio.run(Users(sys.argv[1]).serve())
