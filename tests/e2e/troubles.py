"""A balancer in trouble: it has every fault that an alert of config/prometheus is for, one beside the other.

A KDC and an etcd are dead from the start, and the access log's disk is full. `Troubled.begin` makes the other faults.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.control.probes.kerberos.peers import PRINCIPAL, SPN, Corp
from tests.pki import DAY, HOUR, Authority, write_crls
from tests.ports import free_port

from .backend import Lane, ScriptedBackend, answer
from .balancer import Balancer, running
from .client import HOST
from .configuration import configuration
from .surroundings import Surroundings

FLAPS = 4
"""Times that a backend goes and comes back: more than the alert allows."""

STANDSTILL = 1.2
"""Seconds for which the event loop stands still."""

REQUESTS = 12
"""That fail on both backends: more than may be sent a second time in 10 s."""

_TCP = {"kind": "tcp", "interval": "50ms", "rise": 1}


class Troubled:
    """The balancer, its backends, and its files in `directory`. `metrics` is the address that Prometheus scrapes."""

    def __init__(self, directory: Path, corp: Corp) -> None:
        self.corp = corp
        self.metrics = f"127.0.0.1:{free_port()}"
        self.failing = [ScriptedBackend("c1", self._fail), ScriptedBackend("c2", self._fail)]
        self.flaps, self.dies, self.found = (ScriptedBackend(name) for name in ("f1", "d1", "l1"))
        self.balancer: Balancer
        self._directory = directory
        self._versions = {"c1": "1", "c2": "1"}
        self._root = Authority.root("users root")
        self._staff = self._root.intermediate("staff")
        self._servers = Authority.root("servers root")

    @property
    def backends(self) -> list[ScriptedBackend]:
        return [*self.failing, self.flaps, self.dies, self.found]

    async def begin(self) -> None:
        """Cause the faults; returns once the balancer has noticed them all."""
        await self._stand_still()
        await self._flap()
        self._versions["c2"] = "2"
        await self.balancer.logged("facts_differ", "backends=c2")
        self._write("found.json", b"{")
        await self.balancer.logged("discovery_stale")
        self._write_certificate("login", 5)
        self._write_lists(2, -1)
        await self.balancer.until(lambda seen: {"login.pem", "users.crl"} <= _ends_soon(seen))
        self._write("renewed.key", self._servers.key_pem)
        await self.balancer.logged("certificate_kept", "renewed")
        self.balancer.path.write_text("workerz = 2")
        self.balancer.signal(signal.SIGHUP)
        await self.balancer.logged("reload_failed")
        await self.dies.stop()
        await self.balancer.logged("backend_ejected", "backend=d1")
        for _ in range(REQUESTS):
            assert (await self.balancer.ask("/down")).status == 503
        assert (await self.balancer.ask("/test-headers")).status == 404
        await self.balancer.until(lambda seen: seen["access_log"]["dropped"])

    async def _stand_still(self) -> None:
        pid = self.balancer.pid
        os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(STANDSTILL)  # the fault itself is that time passes
        os.kill(pid, signal.SIGCONT)

    async def _flap(self) -> None:
        for flap in range(1, FLAPS + 1):
            await self.flaps.stop()
            await self.balancer.logged("backend_ejected", "backend=f1", count=flap)
            await self.flaps.start()
            await self.balancer.logged("backend_readmitted", "backend=f1", count=flap + 1)  # once at the start

    async def _fail(self, lane: Lane) -> None:
        """Answers with its version, and /down with 503."""
        while seen := await lane.request():
            version = self._versions[lane.backend.name].encode()
            await lane.send(answer(version, status="503 Down" if seen.target == b"/down" else "200 OK"))

    def _write(self, name: str, content: bytes) -> Path:
        """As a deployment does it: whole, by a rename."""
        fresh = self._directory / "fresh"
        fresh.write_bytes(content)
        return fresh.replace(self._directory / name)

    def _write_certificate(self, name: str, days: int) -> None:
        holder = self._servers.server(HOST, ends=days * DAY)
        self._write(f"{name}.key", holder.key_pem)
        self._write(f"{name}.pem", holder.chain_pem)

    def _write_lists(self, root: int, staff: int) -> None:
        """Revocation lists that end in so many hours."""
        fresh = self._directory / "fresh.crl"
        write_crls(fresh, self._root.crl(next_update=root * HOUR), self._staff.crl(next_update=staff * HOUR))
        fresh.replace(self._directory / "users.crl")

    def prepare(self) -> dict[str, Any]:
        """The files, all in good order, and the configuration."""
        self._write_certificate("login", 90)
        self._write_certificate("renewed", 90)
        self._root.write_certificate(self._directory / "users-ca.pem")
        self._write_lists(1000, 1000)
        self._write("found.json", json.dumps([_member(self.found)]).encode())
        self._write("fleet.secret", bytes(range(64)))
        config = configuration(
            self._directory,
            [(one.name, one.url) for one in self.failing],
            pool={
                "check": {"kind": "none"},
                "retry_statuses": [503],
                "consecutive_errors": 1000,
                "consistency": {
                    "interval": "1s",
                    "facts": {"version": {"path": "/", "regex": "(.*)", "equal": "1"}},
                },
            },
            fleet={
                "name": "f",
                "replica": "lb1",
                "etcd": [f"http://127.0.0.1:{free_port()}"],
                "secret_file": str(self._directory / "fleet.secret"),
            },
        )
        asked = {"client_certificate": "optional", "client_ca": self._path("users-ca.pem")}
        lists = {"client_crl": [self._path("users.crl")]}
        config["listener"]["secure"] = {**_listener("connectors"), "tls": {**self._tls("login"), **asked, **lists}}
        config["listener"]["renewed"] = {**_listener("connectors"), "tls": self._tls("renewed")}
        config["pool"] |= {
            "flapping": {"backends": [_member(self.flaps)], "check": _TCP, "readmit_backoff": "0s"},
            "dying": {"backends": [_member(self.dies)], "check": _TCP},
            "found": {"discover": {"kind": "file", "path": self._path("found.json")}, "check": _TCP},
            "windows": {"backends": [_member(self.failing[0])], "check": self._kerberos()},
        }
        config["listener"] |= {pool: _listener(pool) for pool in ("flapping", "dying", "found", "windows")}
        config["admin"]["metrics"] = self.metrics
        config["access_log"]["path"] = "/dev/full"
        return config

    def _path(self, name: str) -> str:
        return str(self._directory / name)

    def _tls(self, name: str) -> dict[str, str]:
        return {"certificate": self._path(f"{name}.pem"), "key": self._path(f"{name}.key")}

    def _kerberos(self) -> dict[str, Any]:
        keys = {"principal": PRINCIPAL, "keytab": str(self.corp.probe_keytab), "spn": SPN}
        return {"kind": "kerberos", "interval": "1s", "kerberos": keys}


def _ends_soon(seen: dict[str, Any]) -> set[str]:
    """The files of what ends within ten days, or has."""
    return {Path(one["path"]).name for one in seen["expiries"] if one["left_seconds"] < 10 * DAY.total_seconds()}


def _listener(pool: str) -> dict[str, str]:
    return {"bind": f"127.0.0.1:{free_port()}", "pool": pool}


def _member(backend: ScriptedBackend) -> dict[str, str]:
    return {"name": backend.name, "url": backend.url}


@asynccontextmanager
async def troubled(directory: Path, corp_directory: Path) -> AsyncIterator[Troubled]:
    """The balancer, which has only the faults from the start yet."""
    corp = Corp(corp_directory)
    corp.realm.stop()
    place = Troubled(directory, corp)
    try:
        for backend in place.backends:
            await backend.start()
        around = Surroundings(environment={"KRB5_CONFIG": corp.realm.env["KRB5_CONFIG"]})
        async with running(place.prepare(), directory, around=around) as balancer:
            place.balancer = balancer
            await balancer.logged("kerberos_trouble")
            await balancer.logged("fleet_unreachable")
            yield place
    finally:
        for backend in place.backends:
            await backend.stop()
