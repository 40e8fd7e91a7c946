"""Programs that a measurement starts: pinned to one core, waited for, and ended."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from bench.errors import BenchError

PROXY_CORE = 0
LOAD_CORE = 1

_TICK = 0.02  # seconds between two looks at a program that starts
_START_LIMIT = 20.0
_STOP_LIMIT = 10.0


class Child:
    """A program that runs in the background until `stop`, with everything that it starts, on one core.

    They are a process group of their own: the terminal's Ctrl-C is for the measurement, which ends them in order.

    Its standard output and error go to NAME.out and NAME.err in `directory`, opened for appending.
    """

    def __init__(self, name: str, command: Sequence[str | Path], core: int, directory: Path) -> None:
        self.name = name
        self.output = directory / f"{name}.out"
        self.errors = directory / f"{name}.err"
        with self.output.open("ab") as output, self.errors.open("ab") as errors:
            self._process = subprocess.Popen(
                pinned(core, command), stdin=subprocess.DEVNULL, stdout=output, stderr=errors, process_group=0
            )

    def __repr__(self) -> str:
        return f"<{self.name} pid={self._process.pid}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def pids(self) -> list[int]:
        """The process and all its descendants: what works may be children (nginx's workers, lbproxy's generation)."""
        return _tree(self._process.pid)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return when `condition` holds; BenchError with the program's last words if it ends or takes too long."""
        deadline = time.monotonic() + _START_LIMIT
        while not condition():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = self.errors.read_text(errors="replace")[-2000:]
                raise BenchError(f"{self.name} did not start (exit status {self._process.returncode}):\n{said}")
            time.sleep(_TICK)

    def wait(self) -> None:
        """Return when it has ended by itself; BenchError with its last words when it failed."""
        if self._process.wait():
            said = self.errors.read_text(errors="replace")[-2000:]
            raise BenchError(f"{self.name} failed ({self._process.returncode}):\n{said}")

    def stop(self) -> None:
        """TERM, then KILL for what that leaves: of the whole group, so that no child outlives its parent."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_LIMIT)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def pinned(core: int, command: Sequence[str | Path]) -> list[str]:
    """`command`, to be run on `core` only."""
    return ["taskset", "--cpu-list", str(core), *map(str, command)]


def output_of(command: Sequence[str | Path], core: int = LOAD_CORE) -> str:
    """Run `command` on `core` to its end and return its standard output; BenchError when it fails."""
    done = subprocess.run(pinned(core, command), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{command[0]} failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    return done.stdout


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    return free_ports(1)[0]


def free_ports(count: int) -> tuple[int, ...]:
    """So many ports, each another one: they are all held before the first is let go."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return tuple(sock.getsockname()[1] for sock in sockets)


def accepts(port: int) -> bool:
    """Whether something accepts connections on 127.0.0.1:`port`."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def allow_descriptors(count: int, least: int = 0) -> int:
    """Raise the limit of open files to `count` or more, which the programs started later inherit; what it is now.

    BenchError if it stays below `least`, or `count` where that is not given.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count:
        with suppress(ValueError, PermissionError):  # only root may, and not above fs.nr_open
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
            return count
    if hard < (least or count):
        raise BenchError(f"{count} open files are needed and {hard} are allowed; raise the limit: ulimit -Hn {count}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _tree(pid: int) -> list[int]:
    found = [pid]
    for task in _tasks(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            for child in (task / "children").read_text().split():
                found += _tree(int(child))
    return found


def _tasks(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except FileNotFoundError:
        return []
