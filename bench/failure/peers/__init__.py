"""The proxies, each as it comes and at its best; one configuration file for each, beside this one.

A file holds @NAME@ where a case has a value of its own; `Setting.command` says which there are.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.errors import BenchError
from bench.processes import Child, accepts

_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "lbproxy": (sys.executable, "-m", "lbproxy", "run", "-c", "@FILE@"),
    "nginx": ("nginx", "-e", "stderr", "-p", "@DIRECTORY@", "-c", "@FILE@"),
    "haproxy": ("haproxy", "-db", "-f", "@FILE@"),
    "envoy": ("envoy", "-c", "@FILE@", "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"),
    "caddy": ("caddy", "run", "--adapter", "caddyfile", "--config", "@FILE@"),
}
_PLACEHOLDER = re.compile(r"@([A-Z0-9_]+)@")

PROXIES = tuple(_COMMANDS)


class Place(NamedTuple):
    """Where the connectors are: one on each host, all at the same ports."""

    hosts: Sequence[str]
    port: int
    probe_port: int


@dataclass(frozen=True, slots=True)
class Setting:
    """A proxy with one file; `best` or as it comes."""

    proxy: str
    best: bool
    file: Path

    @property
    def name(self) -> str:
        return f"{self.proxy}-{'best' if self.best else 'default'}"

    def command(self, directory: Path, port: int, place: Place) -> list[str]:
        """Write the file for a proxy at 127.0.0.1:`port` into `directory`; the command that serves it.

        The values: @PORT@, @DIRECTORY@, @HOST1@ and so on, @CONNECTOR_PORT@, @PROBE_PORT@.
        """
        values = {f"HOST{number}": host for number, host in enumerate(place.hosts, 1)}
        values |= {"PORT": str(port), "CONNECTOR_PORT": str(place.port), "PROBE_PORT": str(place.probe_port)}
        values["DIRECTORY"] = str(directory)
        path = directory / self.file.name
        path.write_text(filled(self.file.read_text(), values))
        return [filled(word, values | {"FILE": str(path)}) for word in _COMMANDS[self.proxy]]

    def ready(self, port: int, child: Child) -> bool:
        """Whether it serves. lbproxy says so when its first probes are back; the others accept."""
        return b"ready: " in child.errors.read_bytes() if self.proxy == "lbproxy" else accepts(port)


def filled(text: str, values: Mapping[str, str]) -> str:
    """`text` with each @NAME@ replaced; BenchError for one that has no value."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise BenchError(f"there is no value for {match[0]}")
        return values[match[1]]

    return _PLACEHOLDER.sub(value, text)


def _settings(proxy: str) -> tuple[Setting, Setting]:
    default, best = (next(Path(__file__).parent.glob(f"{proxy}-{kind}.*")) for kind in ("default", "best"))
    return Setting(proxy, False, default), Setting(proxy, True, best)


SETTINGS: Mapping[str, tuple[Setting, Setting]] = {proxy: _settings(proxy) for proxy in PROXIES}
