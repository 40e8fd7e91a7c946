"""The operator's command: filled in for one backend, and run with its output in that backend's log."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from lbproxy.control.log.timestamp import timestamp
from lbproxy.control.rollout.plan import Target
from lbproxy.errors import RolloutError

PLACEHOLDERS = ("name", "url", "host", "port")

_PLACEHOLDER = re.compile(rf"\{{({'|'.join(PLACEHOLDERS)})\}}")

_LOOKS_LIKE_ONE = re.compile(r"(?<![{$])\{([A-Za-z_]\w*)\}(?!\})")
"""A placeholder, or what must have been meant as one; not ${NAME} of a shell, and not {{NAME}} of a template."""

_GRACE = 5.0  # seconds from TERM to KILL for a command that is cancelled


class Command:
    """A command line with {name}, {url}, {host} and {port} in it. No shell reads it, so no value can break out."""

    def __init__(self, line: str, logs: Path) -> None:
        """line: words as a shell splits them; logs: the directory of the logs, made when needed.

        Raises ValueError for a line that has no words, an open quote or an unknown placeholder, or names a program that
        is not there.
        """
        self._words = shlex.split(line)
        self._logs = logs
        if not self._words:
            raise ValueError("there is no command")
        unknown = {name for word in self._words for name in _LOOKS_LIKE_ONE.findall(word)} - {*PLACEHOLDERS}
        if unknown:
            raise ValueError(
                f"there is no placeholder {', '.join(f'{{{name}}}' for name in sorted(unknown))}; there are"
                f" {', '.join(f'{{{name}}}' for name in PLACEHOLDERS)}. Put other braces into a script"
            )
        program = self._words[0]
        if not _PLACEHOLDER.search(program) and shutil.which(program) is None:
            raise ValueError(f"there is no program {program}")

    def __repr__(self) -> str:
        return f"<command {shlex.join(self._words)}>"

    def filled(self, target: Target) -> list[str]:
        """The words for `target`; each stays one argument, whatever is put into it. Other braces stay."""
        values = {"name": target.name, "url": target.url, "host": target.host, "port": str(target.port)}
        return [_PLACEHOLDER.sub(lambda match: values[match[1]], word) for word in self._words]

    def log(self, target: Target) -> Path:
        """Where its output for `target` is kept; a later run adds to it."""
        return self._logs / target.pool / f"{target.name}.log"

    def prepare(self, targets: Iterable[Target]) -> None:
        """Make the directories of their logs, before one is drained for a command that could not be run after all.

        Raises RolloutError.
        """
        for directory in {self.log(target).parent for target in targets}:
            try:
                directory.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise RolloutError(f"--logs: {directory} cannot be made: {error.strerror}") from error
            if not os.access(directory, os.W_OK | os.X_OK):
                raise RolloutError(f"--logs: {directory} may not be written")

    async def run(self, target: Target) -> None:
        """Run it to its end; raises RolloutError unless that is status 0. Cancelled, it ends whatever it started.

        It has a session of its own, so that Ctrl-C reaches it only as such a cancellation, and no input.
        """
        log = self.log(target)
        try:
            status = await _run(self.filled(target), log)
        except OSError as error:
            raise RolloutError(f"the command cannot be run: {error}") from error
        if status:
            how = f"ended with status {status}" if status > 0 else f"was killed by {signal.Signals(-status).name}"
            raise RolloutError(f"the command {how}; its output is in {log}")


async def _run(arguments: Sequence[str], log: Path) -> int:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        output.write(f"--- {timestamp(time.time())} {shlex.join(arguments)}\n".encode())
        output.flush()
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return await process.wait()
        finally:
            if process.returncode is None:
                await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """TERM for it and for what it started; KILL for what is left when it has ended, or does not."""
    _signal_all(process, signal.SIGTERM)
    end = asyncio.ensure_future(process.wait())
    # asyncio.timeout() would not do: up to Python 3.11.3 it does not end by TimeoutError in a task that was cancelled.
    await asyncio.wait([end], timeout=_GRACE)
    _signal_all(process, signal.SIGKILL)
    await end


def _signal_all(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """To every process of the session that began with `process`, unless they made groups of their own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
