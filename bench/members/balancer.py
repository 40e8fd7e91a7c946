"""lbproxy in front of a source of backends, and what its log and its status say."""

from __future__ import annotations

import json
import re
import socket
import sys
import time
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path

from bench.errors import BenchError
from bench.heads import HOST
from bench.members.places import POOL
from bench.processes import PROXY_CORE, Child, free_port

_LINE = re.compile(r"^(\S+) [A-Z]+ (\w+) (.*)$", re.MULTILINE)
_PATIENCE = 60.0  # seconds until everything is in rotation


class Balancer:
    """It runs for the length of a block; `port` is for users."""

    def __init__(self, directory: Path, discover: str, interval: str) -> None:
        """discover: [pool.NAME.discover], perhaps with tables after it. interval: between two probes of a backend."""
        self.port = free_port()
        self._socket = directory / "admin.sock"
        path = directory / "lbproxy.toml"
        path.write_text(_file(self.port, self._socket, discover, interval))
        self.child = Child("lbproxy", [sys.executable, "-m", "lbproxy", "run", "-c", path], PROXY_CORE, directory)

    def __enter__(self) -> Balancer:
        self.child.wait_until(lambda: b"ready: " in self.child.errors.read_bytes())
        return self

    def __exit__(self, *error: object) -> None:
        self.child.stop()

    def wait_for(self, count: int) -> None:
        """Until so many backends are there, and in rotation."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            members = self._status()["pools"][0]["backends"]
            if len(members) == count and all(one["in_rotation"] for one in members):
                return
            time.sleep(0.2)
        raise BenchError(f"{count} backends are not in rotation within {_PATIENCE:g} s")

    def logged(self, event: str, backend: str, since: float) -> float | None:
        """When `event` was logged of `backend`, in seconds since the epoch, after `since`; None if it was not."""
        return find(self.child.errors.read_text(), event, backend, since)

    def _status(self) -> dict[str, list[dict[str, list[dict[str, bool]]]]]:
        connection = HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self._socket))
        try:
            connection.request("GET", "/status")
            found: dict[str, list[dict[str, list[dict[str, bool]]]]] = json.loads(connection.getresponse().read())
            return found
        finally:
            connection.close()


def find(log: str, event: str, backend: str, since: float) -> float | None:
    """See `Balancer.logged`. The log has milliseconds, so that a line may seem to be a part of one too early."""
    for line in _LINE.finditer(log):
        if line[2] == event and f"backend={backend} " in f"{line[3]} ":
            at = datetime.fromisoformat(line[1]).timestamp()
            if at >= since - 0.001:
                return at
    return None


def _file(port: int, admin: Path, discover: str, interval: str) -> str:
    return f"""
server_url = "http://{HOST}:{port}"
drain_timeout = "1s"
[listener.login]
bind = "127.0.0.1:{port}"
pool = "{POOL}"
[access_log]
path = ""
[admin]
bind = "unix:{admin}"
[pool.{POOL}.check]
kind = "tcp"
interval = "{interval}"
[pool.{POOL}.discover]
{discover}
"""
