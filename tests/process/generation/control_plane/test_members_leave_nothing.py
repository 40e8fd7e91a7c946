"""Members join and leave in the control plane of one process, with users: what is there afterwards is what was before.

tests/e2e/test_live_pool.py does it from outside, with workers too. LBPROXY_FULL=1: 1,000 names and 3,000 changes.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from lbproxy.balance.member import Member
from lbproxy.balance.membership import OPERATOR
from lbproxy.balance.pool import Pool
from lbproxy.config import load
from lbproxy.process.generation.control_plane import ControlPlane
from lbproxy.process.generation.handover import StartInputs, secret
from lbproxy.process.generation.listen_addresses import ADMIN, wanted
from lbproxy.process.ipc.master_messages import WITH_MASTER
from lbproxy.process.master.listening_sockets import listen
from tests.net.peers import until
from tests.process.conftest import Pair
from tests.process.places import listen_all
from tests.status.test_served import ORIGIN

FULL = bool(os.environ.get("LBPROXY_FULL"))
CHANGES, NAMES = (3000, 1000) if FULL else (300, 100)
USERS = 4

CONFIG = """
server_url = "https://login.corp.example"
drain_timeout = "2s"
[admin]
bind = "unix:admin.sock"
[listener.login]
bind = "127.0.0.1:0"
pool = "connectors"
[pool.connectors]
backends = [{{ name = "stays", url = "http://127.0.0.1:{port}" }}]
[pool.connectors.check]
kind = "http"
path = "/"
interval = "200ms"
[pool.connectors.consistency]
facts.version = {{ path = "/", header = "X-Version" }}
"""
ASK = b"GET / HTTP/1.1\r\nHost: login.corp.example\r\n%s\r\n"
CREDENTIAL = b"Authorization: Basic YTpi\r\n"


@asynccontextmanager
async def connector() -> AsyncIterator[int]:
    """The port of one that answers everything, until all its connections have ended."""
    serving = set[object]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\nX-Version: 1\r\nContent-Length: 2\r\n\r\nok")
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        serving.discard(asyncio.current_task())

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await until(lambda: not serving)


@asynccontextmanager
async def serving(pair: Pair, directory: Path, port: int) -> AsyncIterator[tuple[ControlPlane, int]]:
    """A control plane that accepts, and the port."""
    (directory / "lb.toml").write_text(CONFIG.format(port=port))
    config = load(directory / "lb.toml")
    sockets = listen_all(config)
    [admin] = [listen(one) for one in wanted(config) if one.key == ADMIN]
    ours, _ = pair(WITH_MASTER)
    control_plane = ControlPlane(config, StartInputs(1, ORIGIN, ours, sockets, admin, secret(None, 0.0)))
    async with AsyncExitStack() as stack:
        stack.enter_context(admin)
        for sock in sockets.values():
            stack.enter_context(sock)
        await control_plane.start(stack)
        await control_plane.first_round()
        control_plane.accept()
        yield control_plane, sockets["login"].getsockname()[1]


async def use(port: int, credential: bytes, end: asyncio.Event) -> int:
    """How many requests were answered on kept connections, each with ten."""
    answered = 0
    while not end.is_set():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(10):
            writer.write(ASK % credential)
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
            answered += 1
        writer.close()
        await writer.wait_closed()
    return answered


async def churn(pool: Pool, port: int, chance: random.Random) -> None:
    """Join or leave, one at a time, with a turn of the loop after each."""
    members: dict[str, Member] = {}
    for _ in range(CHANGES):
        name = f"m{chance.randrange(NAMES)}"
        if members.pop(name, None) is None:
            members[name] = Member(name, f"http://127.0.0.1:{port}", chance.choice((1, 1, 2)))
        assert not pool.apply(OPERATOR, members.values())
        await asyncio.sleep(chance.choice((0, 0, 0.002)))
    assert not pool.apply(OPERATOR, ())


def census() -> Counter[str]:
    """What there is of lbproxy's own objects, of tasks and of open files."""
    gc.collect()
    found = Counter[str](
        kind.__qualname__ for one in gc.get_objects() if (kind := type(one)).__module__.startswith("lbproxy.")
    )
    del found["Exemplar"], found["_Reading"]  # of those that are there: by bucket of latency, and as time goes on
    found["a task"] = len(asyncio.all_tasks())
    found["a descriptor"] = len(list(Path("/proc/self/fd").iterdir()))
    return found


def more(before: Counter[str], pool: Pool) -> Iterator[str]:
    """What has come since."""
    yield from (f"{name} {count - before[name]:+}" for name, count in census().items() if count > before[name])
    yield from (f"{one.name} is a member" for one in pool.backends if one.name != "stays")


async def use_and_churn(control_plane: ControlPlane, listens: int, port: int, chance: random.Random) -> None:
    """Until no connection is open, and no member has anything to finish."""
    end = asyncio.Event()
    users = [asyncio.ensure_future(use(listens, (b"", CREDENTIAL)[one % 2], end)) for one in range(USERS)]
    await churn(control_plane.model.pools["connectors"], port, chance)
    end.set()
    assert sum(await asyncio.gather(*users)) >= 10 * USERS
    data_path = control_plane.data_path
    assert data_path is not None
    await until(lambda: not data_path.connections and not data_path.left_on())


async def test_members_leave_no_lane_probe_task_or_descriptor_behind(pair: Pair, tmp_path: Path) -> None:
    chance = random.Random(seed := random.randrange(1 << 30))
    print(f"seed {seed}")
    async with connector() as port, serving(pair, tmp_path, port) as (control_plane, listens):
        pool = control_plane.model.pools["connectors"]
        await use_and_churn(control_plane, listens, port, chance)  # what is made once for good is there after it
        before = census()
        await use_and_churn(control_plane, listens, port, chance)
        with suppress(TimeoutError):
            async with asyncio.timeout(10):
                await until(lambda: not [*more(before, pool)])
        assert not [*more(before, pool)]
