"""lbproxy changing an installation, killed before the n-th call that changes something on the disk.

It is a process that imports everything once, and then forks one to be killed for each number that it is told.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lbproxy.instance.change import Change
from lbproxy.instance.sealing import Identity
from lbproxy.instance.transaction import Transaction

OLD, NEW = b"the old secret", b"the new secret"
ROOT = Path(__file__).parents[2]
CALLS = ("fsync", "rename", "unlink", "fchmod", "mkdir")


def changes(directory: Path) -> list[Change]:
    """What is applied."""
    return [
        Change(directory, ".", "config.json", NEW, 0o600),
        Change(directory, "lib", "mapper.js", NEW, 0o644),
        Change(directory, "certs", "cert.key", NEW, 0o600),
        Change(directory, ".", "obsolete", None),
    ]


class Killer:
    """Talks to that `process`, of one installation."""

    def __init__(self, process: subprocess.Popen[str], directory: Path, key: Path) -> None:
        self.directory = directory
        self._process = process
        self._key = key

    def kill(self, what: str, step: int) -> bool:
        """Do it ("apply" or "undo"), and be killed before that step; False if it ended before."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(self.directory), str(self._key), what, step]) + "\n")
        self._process.stdin.flush()
        told = self._process.stdout.readline().strip()
        assert told in ("0", "-9"), told
        return told == "-9"


@contextmanager
def killing() -> Iterator[subprocess.Popen[str]]:
    """That process."""
    words = [sys.executable, "-m", "tests.instance.killer"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        yield process
        process.communicate()


def _counted(call: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    def step(*args: Any, **options: Any) -> Any:
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        return call(*args, **options)

    return step


def _do(directory: Path, identity: Identity, what: str, step: int) -> None:
    left = [step]
    for name in CALLS:
        setattr(os, name, _counted(getattr(os, name), left))
    transaction = Transaction(directory)
    with transaction.locked():
        if what == "undo":
            transaction.run(transaction.before(identity), identity, "undo", undoes=True)
        else:
            transaction.run(changes(directory), identity, "apply of pack 1")


def main() -> None:
    for line in sys.stdin:
        directory, key, what, step = json.loads(line)
        child = os.fork()
        if child == 0:
            _do(Path(directory), Identity.read(Path(key)), what, step)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
