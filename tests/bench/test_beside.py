import asyncio
import json
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.load.beside import CONNECTIONS, KEPT, NEW, Asker, parse
from bench.load.load import RESULT, Load
from bench.load.scenario import TABLE

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + b"x" * 64
LOAD = Load(10, 1, 2.0, 1000, 1500.0, 2500.0, 3500.0)


class Server:
    """Answers each request of a connection with `answer`, in two pieces; without one it hangs up."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answer:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(self.answer[:30])
                await writer.drain()
                writer.write(self.answer[30:])
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def asked(answer: bytes) -> tuple[Asker, Server]:
    server = Server(answer)
    async with await asyncio.start_server(server, "127.0.0.1", 0) as listening:
        asker = Asker(TABLE["busy"], listening.sockets[0].getsockname()[1])
        await asker.run(200, 0.5, time.monotonic())
    return asker, server


async def test_asks_on_new_connections_and_on_kept_ones() -> None:
    asker, server = await asked(GOOD)
    assert server.connections == CONNECTIONS + 100
    for tally in asker.tallies.values():
        assert (len(tally.took), tally.errors, tally.bytes) == (100, 0, 100 * len(GOOD))
        assert min(tally.took) > 0


@pytest.mark.parametrize("answer", [GOOD.replace(b"200 OK", b"503 No"), b""])
async def test_anything_else_is_an_error(answer: bytes) -> None:
    asker, _ = await asked(answer)
    assert (asker.tallies[NEW].errors, asker.tallies[NEW].took) == (100, [])
    assert (asker.tallies[KEPT].errors, asker.tallies[KEPT].took) == (CONNECTIONS, []), "and the end of its connection"


def test_reads_what_the_program_says(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text(RESULT + json.dumps({NEW: asdict(LOAD), KEPT: asdict(LOAD)}) + "\n")
    assert parse(path) == {NEW: LOAD, KEPT: LOAD}


@pytest.mark.parametrize("said", ["", RESULT + "{", RESULT + "[1]", RESULT + '{"new": {"requests": 1}}'])
def test_another_output_is_an_error(tmp_path: Path, said: str) -> None:
    path = tmp_path / "out"
    path.write_text(said)
    with pytest.raises(BenchError):
        parse(path)
