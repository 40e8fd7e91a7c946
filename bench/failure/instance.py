"""A connector as a child process, and what can be done to it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from bench.errors import BenchError
from bench.failure.namespace import Namespace
from bench.failure.peers import Place
from bench.processes import LOAD_CORE, pinned


class Instance:
    """The connector at `host`, with its journal in `directory`; in a network namespace of its own if one is given."""

    def __init__(self, host: str, place: Place, directory: Path, namespace: Namespace | None = None) -> None:
        self.host = host
        self.namespace = namespace
        self._journal = directory / f"journal-{host}"
        self._errors = directory / f"connector-{host}.err"
        self._place = place
        self._process = self._started()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()

    def kill(self) -> None:
        """SIGKILL, which ends a stopped one too; returns when it has ended."""
        with self._process:  # closes its pipes and waits
            self._process.kill()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def tell(self, mood: str) -> None:
        """Change its mood; see `bench.failure.connector`."""
        assert self._process.stdin is not None
        self._process.stdin.write(mood.encode() + b"\n")
        self._process.stdin.flush()

    def start_again(self) -> None:
        """A new process at the same ports, with the same journal."""
        self.kill()
        self._process = self._started()

    def ran(self) -> list[int]:
        """The numbers of the requests that it ran, in order; one that ran twice is there twice."""
        return [int(line) for line in self._journal.read_text().split()]

    def _started(self) -> subprocess.Popen[bytes]:
        address = (self.host, str(self._place.port), str(self._place.probe_port))
        program = [sys.executable, "-m", "bench.failure.connector", *address, str(self._journal)]
        command = pinned(LOAD_CORE, program)
        if self.namespace is not None:
            command = self.namespace.inside(command)
        with self._errors.open("ab") as errors:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            process.kill()
            raise BenchError(f"the connector at {self.host} did not start:\n{self._errors.read_text()[-2000:]}")
        return process
