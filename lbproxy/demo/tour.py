"""The commands that the demo prints: what to try, in an order that tells the story."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from lbproxy.demo.ports import LOOPBACK
from lbproxy.demo.town import HOST, USER, Town


@dataclass(frozen=True, slots=True)
class Stop:
    """One command for a POSIX shell, and what it shows."""

    title: str
    command: str


def tour(town: Town) -> list[Stop]:
    """The commands for a town as it runs now, with the process ids of now."""
    victim = town.connectors[1]
    who = f"as {USER}, with a Kerberos ticket" if town.ticket else "without Kerberos"
    request = _request(town)
    turns = f'for n in $(seq 9); do {request} -w \'\\n\'; done | grep -o \'"instance": "[^"]*"\''
    status = _shell([sys.executable, "-m", "lbproxy", "status", "--admin", town.admin])
    return [
        Stop(f"One request {who}", f"{request} -w '\\n'"),
        Stop("Nine requests: the instances take turns", turns),
        Stop("What the balancer sees (--watch keeps looking)", status),
        Stop(f"Kill {victim.name}", f"kill -9 {victim.pid}"),
        Stop("Nine requests again: no one notices", turns),
        Stop(f"{victim.name} is out of rotation, and why", status),
    ]


def _request(town: Town) -> str:
    target = ["--resolve", f"{HOST}:{town.port}:{LOOPBACK}", "--cacert", str(town.ca)]
    curl = ["curl", "--silent", "--show-error", "--fail", *target]
    if town.ticket is None:
        return _shell([*curl, f"{town.server_url}/users"])
    return _shell([*curl, "--negotiate", "-u", ":", f"{town.server_url}/wsfed"], town.ticket)


def _shell(command: list[str], environment: Mapping[str, str] | None = None) -> str:
    words = [f"{name}={shlex.quote(value)}" for name, value in (environment or {}).items()]
    return " ".join([*words, shlex.join(command)])
