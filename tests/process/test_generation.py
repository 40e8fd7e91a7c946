"""The control plane around the data path: start, ready, drain, stop; in this process and on this loop."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbproxy.config import Config, load
from lbproxy.control.admin.client import fetch_status
from lbproxy.errors import ConfigError, StartError
from lbproxy.process.generation import Generation, run
from lbproxy.process.sockets import listen_all

CONFIG = """
server_url = "http://login.test"
drain_timeout = "5s"
[listener.login]
bind = "127.0.0.1:0"
pool = "connectors"
[pool.connectors]
backends = [{{ name = "c1", url = "http://127.0.0.1:{port}" }}]
[pool.connectors.check]
kind = "{kind}"
[access_log]
path = ""
[admin]
bind = "unix:admin.sock"
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short one: the admin socket's path must fit sun_path."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def configuration(folder: Path, port: int = 9, kind: str = "none") -> Config:
    path = folder / "lb.toml"
    path.write_text(CONFIG.format(port=port, kind=kind))
    return load(path)


async def serving(config: Config, capfd: pytest.CaptureFixture[str]) -> asyncio.Task[None]:
    """A generation that has said that it is ready."""
    task = asyncio.create_task(Generation(config, listen_all(config)).serve())
    await until_ready(task, capfd)
    return task


async def until_ready(task: asyncio.Task[None], capfd: pytest.CaptureFixture[str]) -> None:
    """Until it has said so; if it ends before, raise why."""
    while "ready: " not in capfd.readouterr().err:
        if task.done():
            task.result()
        await asyncio.sleep(0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_until_told(folder: Path, capfd: pytest.CaptureFixture[str], number: signal.Signals) -> None:
    config = configuration(folder)
    task = await serving(config, capfd)
    assert config.admin.bind.path is not None
    status = await asyncio.to_thread(fetch_status, config.admin.bind.path)
    assert status["state"] == "serving"
    assert status["pools"][0]["backends"][0]["state"] == "up"
    os.kill(os.getpid(), number)
    await task
    assert not config.admin.bind.path.exists()


async def test_ready_waits_for_the_first_probe(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    probed = asyncio.Event()
    answer = asyncio.Event()

    async def connector(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        probed.set()
        await answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(connector, "127.0.0.1", 0)
    async with server:
        config = configuration(folder, server.sockets[0].getsockname()[1], "http")
        task = asyncio.create_task(Generation(config, listen_all(config)).serve())
        await probed.wait()
        assert "ready: " not in capfd.readouterr().err
        answer.set()
        await until_ready(task, capfd)
        os.kill(os.getpid(), signal.SIGTERM)
        await task


async def test_a_stop_does_not_wait_for_the_first_probe(folder: Path) -> None:
    probed = asyncio.Event()
    gone = asyncio.Event()

    async def connector(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        probed.set()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(connector, "127.0.0.1", 0)
    async with server:
        config = configuration(folder, server.sockets[0].getsockname()[1], "http")
        task = asyncio.create_task(Generation(config, listen_all(config)).serve())
        await probed.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await task
        await gone.wait()


async def test_a_second_one_does_not_take_the_admin_socket(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    config = configuration(folder)
    first = await serving(config, capfd)
    with pytest.raises(StartError, match=r"admin\.bind: another process listens"):
        await Generation(config, listen_all(config)).serve()
    # The second one has taken the signal handlers of this process with it: the first is told directly.
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first


def test_run_refuses_what_preflight_finds(folder: Path) -> None:
    path = folder / "lb.toml"
    path.write_text(CONFIG.format(port=9, kind="none").replace('path = ""', 'path = "no/such/folder/access.log"'))
    with pytest.raises(ConfigError, match=r"access_log\.path"):
        run(path)
