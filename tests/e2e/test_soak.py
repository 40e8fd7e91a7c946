"""Many reloads and upgrades in a row while everybody is served: nothing is lost, and nothing grows.

LBPROXY_FULL=1 runs fifty reloads and ten upgrades, under twelve times the load.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections import Counter
from functools import partial
from pathlib import Path
from signal import SIGHUP, SIGUSR2

from tests.ports import free_port

from .backend import Lane, answer
from .balancer import Balancer, descendants
from .client import Client, request
from .conftest import Backends, Balance
from .crowd import Crowd
from .reloads import comes_true, reload, rewrite
from .surroundings import BY_COMMAND_LINE
from .tls import Authority

FULL = bool(os.environ.get("LBPROXY_FULL"))
RELOADS, UPGRADES = (50, 10) if FULL else (4, 2)
USERS = 25 if FULL else 2
"""Of each kind: on kept connections and on new ones, plain and with TLS."""

PIECE, PIECES = os.urandom(65536), 40
"""A download takes two seconds at least: longer than a reload."""

WHOLE = hashlib.sha256(PIECE * PIECES).hexdigest()

MEGABYTE = 1 << 20


async def serve(lane: Lane) -> None:
    """Slow downloads, and all other requests alike."""
    while request := await lane.request():
        if request.target != b"/download":
            await lane.send(answer(b"ok"))
            continue
        await lane.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(PIECE) * PIECES))
        for _ in range(PIECES):
            await lane.send(PIECE)
            await asyncio.sleep(0.05)


class Downloaders(Crowd):
    """Users who download one after the other, each unchanged."""

    async def ask(self, client: Client) -> bool:
        await client.send(request("/download"))
        assert (await client.digest())[2] == WHOLE
        self.answered.append(b"/download")
        return True


class Soak:
    """A balancer with a plain and a TLS listener, whose file is changed in some way at each step."""

    def __init__(self, balancer: Balancer, authority: Authority, directory: Path) -> None:
        self.balancer = balancer
        self._authority = authority
        self._directory = directory
        self._step = 0
        port, login = free_port(), balancer.config["listener"]["login"]
        tls = {"certificate": str(directory / "chain.pem"), "key": str(directory / "key.pem")}
        secure = {**login, "bind": f"127.0.0.1:{port}", "tls": tls}
        self._base = {**balancer.config, "listener": {"login": login, "secure": secure}}
        self.connect_secure = partial(Client.connect, ("127.0.0.1", port), authority.client_context())

    async def begin(self) -> None:
        """With both listeners."""
        self._authority.write(self._directory, "login.test", "127.0.0.1")
        await self.restore(1)

    async def change(self) -> None:
        """Change the next thing: a backend, the certificate, a listener, the number of workers; or change it back."""
        base, step = self._base, self._step
        self._step += 1
        there = step // 4 % 2 == 0
        match step % 4:
            case 0:
                await rewrite(self.balancer, workers=2 if there else 1)
            case 1:
                self._authority.write(self._directory, "login.test", "127.0.0.1")
            case 2:
                third = {**base["listener"]["login"], "bind": f"127.0.0.1:{free_port()}"}
                await rewrite(self.balancer, listener={**base["listener"], **({"third": third} if there else {})})
            case 3:
                pool = base["pool"]["connectors"]
                members = pool["backends"][:1] if there else pool["backends"]
                await rewrite(self.balancer, pool={"connectors": {**pool, "backends": members}})

    async def restore(self, number: int) -> None:
        """The file as it was, and one generation only, after the one with this number.

        That one's end is logged after it was reaped: a master at rest has closed all that was for it.
        """
        await rewrite(self.balancer, **self._base)
        await comes_true(lambda: len(self.balancer.generations) == 1)
        await reload(self.balancer)
        await self.balancer.logged("generation_ended", f"generation={number} ")
        await comes_true(lambda: _rests(self.balancer.master))

    def sizes(self) -> tuple[int, int, int, int]:
        """Of the master: open descriptors and resident bytes; of the generation: the same."""
        return *_size(self.balancer.master), *_size(self.balancer.pid)


def _rests(pid: int) -> bool:
    """Whether it waits for something (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def _size(pid: int) -> tuple[int, int]:
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return len(list(Path(f"/proc/{pid}/fd").iterdir())), int(found[1]) * 1024


async def test_nothing_is_lost_and_nothing_grows(
    backends: Backends, balance: Balance, authority: Authority, directory: Path
) -> None:
    members = await backends(serve, serve)
    balancer = await balance(
        *members,
        around=BY_COMMAND_LINE,
        workers=1,
        drain_timeout="2m",
        access_log={"path": str(directory / "log")},
    )
    soak = Soak(balancer, authority, directory)
    await soak.begin()
    before = soak.sizes()
    plain = Crowd(balancer.connect, USERS, USERS, "plain")
    secure = Crowd(soak.connect_secure, USERS, USERS, "secure")
    downloaders = Downloaders(balancer.connect, kept=0, new=1)
    async with plain, secure, downloaders:
        for number in range(1, RELOADS + UPGRADES + 1):
            upgrades = number % ((RELOADS + UPGRADES) // UPGRADES) == 0
            if not upgrades:
                await soak.change()
            balancer.signal(SIGUSR2 if upgrades else SIGHUP)
            await balancer.logged("generation_serves", f"generation={number + 2} ")
    assert downloaders.answered
    await soak.restore(RELOADS + UPGRADES + 2)
    ran = Counter(each.target for member in members for each in member.complete if each.target != b"/download")
    assert set(ran.values()) == {1}
    assert ran.keys() == {target for crowd in (plain, secure) for target in crowd.answered}
    assert not [line for line in balancer.log if "connections_cut" in line]
    assert len(descendants(balancer.master)) == 1
    growth = [after - once for after, once in zip(soak.sizes(), before, strict=True)]
    assert growth[0] == growth[2] == 0
    assert max(growth[1], growth[3]) < 4 * MEGABYTE, growth
    print(f"{len(ran)} requests, growth {growth}")
