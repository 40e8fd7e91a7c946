"""Started by root, lbproxy binds its sockets and serves as somebody else."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from .balancer import Balancer, command, descendants, running
from .client import Client
from .configuration import configuration, toml
from .conftest import Backends
from .surroundings import open_to_all
from .tls import Authority

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

USER = "nobody"


@pytest.fixture
def open_directory(directory: Path) -> Path:
    """One that others may enter and, in its folder `log`, write."""
    directory.chmod(0o755)
    (directory / "log").mkdir()
    shutil.chown(directory / "log", USER)
    return directory
    return directory


def low_port() -> int:
    """A free port that only root may bind."""
    for port in range(1023, 600, -1):
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)):
                return port
    raise AssertionError("every port below 1024 is in use")


def users(pid: int) -> set[str]:
    """Who the process is, by each of its user IDs (proc(5): real, effective, saved, file system)."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Uid:")]
    return {pwd.getpwuid(int(uid)).pw_name for uid in line.split()[1:]}


async def changed(balancer: Balancer, **top: Any) -> None:
    """The file, and the generation that serves it."""
    balancer.config = {**balancer.config, **top}
    balancer.path.write_text(toml(balancer.config))
    code, _, err = await command("reload", "--admin", balancer.config["admin"]["bind"])
    assert code == 0, err


@pytest.mark.parametrize("workers", [1, 2])
async def test_everything_but_the_master_is_the_user(backends: Backends, open_directory: Path, workers: int) -> None:
    [backend] = await backends()
    folder = open_directory
    low, socket_file, log = low_port(), folder / "login.sock", folder / "log" / "access.log"
    config = configuration(folder, [(backend.name, backend.url)], {"bind": f"127.0.0.1:{low}"})
    [login] = config["listener"].values()
    listeners = {"login": login, "local": {**login, "bind": f"unix:{socket_file}"}}
    config |= {"listener": listeners, "user": USER, "group": "daemon", "workers": workers}
    async with running({**config, "access_log": {"path": str(log)}}, folder, around=open_to_all()) as balancer:
        assert (await balancer.ask()).status == 200
        assert users(balancer.master) == {"root"}
        others = descendants(balancer.master)
        assert len(others) == (1 if workers == 1 else 2 + workers)
        assert [users(pid) for pid in others] == [{USER}] * len(others)
        for made in (socket_file, folder / "admin.sock", log):
            assert (made.owner(), made.group()) == (USER, "daemon")
        assert b"process_open_fds" in (await balancer.admin("/metrics")).body
        # A reload may bind another low port: the master still can.
        other = low_port()
        await changed(balancer, listener={**listeners, "other": {**login, "bind": f"127.0.0.1:{other}"}})
        async with await Client.connect(("127.0.0.1", other)) as client:
            assert (await client.ask("/other")).status == 200
        balancer.signal(signal.SIGUSR2)
        await balancer.logged("upgrading")
        await balancer.logged("generation_serves", "generation=3")
        assert (await balancer.ask("/upgraded")).status == 200
    assert "/upgraded" in {json.loads(line)["target"] for line in log.read_text().splitlines()}
    assert sorted(path.name for path in folder.iterdir()) == ["lbproxy.toml", "log"]


async def test_keys_are_read_again_as_the_user(backends: Backends, open_directory: Path, authority: Authority) -> None:
    [backend] = await backends()
    certificate = authority.write(open_directory, "login.test", "127.0.0.1")
    certificate.key.chmod(0o600)
    config = configuration(open_directory, [(backend.name, backend.url)], certificate=certificate, user=USER)
    path = open_directory / "lbproxy.toml"
    path.write_text(toml(config))
    for name in ("check", "run"):
        code, _, err = await command(name, "-c", str(path), around=open_to_all())
        assert code == 1
        assert f"listener.login.tls.key: {certificate.key}: Permission denied" in err
    shutil.chown(certificate.key, USER)
    async with running(config, open_directory, authority.client_context(), open_to_all()) as balancer:
        assert (await balancer.ask()).status == 200
        assert (await command("check", "-c", str(path), around=open_to_all()))[0] == 0
    path.chmod(0o600)  # the file itself may be root's alone
    assert (await command("check", "-c", str(path), around=open_to_all()))[0] == 0


async def test_an_unknown_user_is_named(backends: Backends, open_directory: Path) -> None:
    [backend] = await backends()
    path = open_directory / "lbproxy.toml"
    path.write_text(toml(configuration(open_directory, [(backend.name, backend.url)], user="no-such-user")))
    for name in ("check", "run"):
        code, _, err = await command(name, "-c", str(path), around=open_to_all())
        assert code == 1
        assert "user: this machine has no user 'no-such-user'" in err
