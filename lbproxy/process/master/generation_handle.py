"""A generation, as the master knows it: a process and the channel to it."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path

from lbproxy import files, program
from lbproxy.process.ipc.channel import Channel
from lbproxy.process.ipc.master_messages import WITH_GENERATION, FromGeneration, Operated, ToGeneration
from lbproxy.process.ipc.messages import Fields
from lbproxy.process.master.listening_sockets import Wanted

_FIXED = {signal.SIGKILL, signal.SIGSTOP}


class Stage(Enum):
    """How far a generation is. It only moves on, and any of them may end it."""

    STARTING = "starting"  # reads the configuration, probes
    SERVING = "serving"
    DRAINING = "draining"  # accepts no more


def command(*arguments: str) -> list[str]:
    """What starts a process of lbproxy in the role that the first argument names."""
    return program.command("lbproxy.process", *arguments)


def spawn(arguments: list[str], errors: int = 2) -> int:
    """Start a process; its id. Its signals are as they are by default. Raises OSError.

    errors: the descriptor that becomes its standard error.
    """
    return os.posix_spawn(
        arguments[0],
        arguments,
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, errors, 2)],
        setsigmask=(),
        setsigdef=signal.valid_signals() - _FIXED,
    )


class GenerationHandle:
    """`problems` has what it said was wrong, if it said so; `ticket` its request to reload, while that is waited for.

    `wanted` are the places that it needs, once it has said so; `provided`: it was told to start with them.
    `status_line` is what it says of itself, `text` what its configuration file held, `log_to` where log lines go.
    `lifeline` is the reading end of a pipe whose other end it has open, and all its workers; None, if it has none.
    """

    def __init__(
        self,
        pid: int,
        number: int,
        channel: Channel[ToGeneration, FromGeneration],
        stage: Stage = Stage.STARTING,
        protocol: int = 1,
    ) -> None:
        """protocol: what the generation has greeted with; 1 until it greets."""
        channel.protocol = protocol
        self.pid = pid
        self.number = number
        self.channel = channel
        self.stage = stage
        self.problems: list[str] = []
        self.ticket: int | None = None
        self.wanted: list[Wanted] = []
        self.provided = False
        self.status_line = stage.value
        self.text = ""
        self.log_to = "stderr"
        self.lifeline: int | None = None

    @classmethod
    def start(cls, number: int, path: Path, text: str = "") -> GenerationHandle:
        """A generation for what the file at `path` says now, or for `text` as if it said that. Raises OSError."""
        ours, theirs = Channel.pair(WITH_GENERATION)
        file = files.in_memory("lbproxy-configuration", text.encode()) if text else -1
        try:
            theirs.socket.set_inheritable(True)
            arguments = [str(theirs.fileno()), str(number), str(path)]
            if text:
                os.set_inheritable(file, True)
                arguments.append(str(file))
            pid = spawn(command("generation", *arguments))
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
            if text:
                os.close(file)
        return cls(pid, number, ours)

    def __repr__(self) -> str:
        return f"<generation {self.number} pid={self.pid} {self.stage.value}>"

    def send(self, message: ToGeneration, descriptors: Sequence[int] = ()) -> None:
        """Send a message, unless the generation's version does not know it."""
        self.channel.send(message, descriptors)

    def obeys(self, message: Fields) -> bool:
        """Whether one that drains is told of it too: what operators say, as it may have a request to send again."""
        return message.get("type") == Operated.kind and self.channel.protocol >= Operated.since

    def keep(self, descriptors: Sequence[int]) -> None:
        """These came with `Lifeline`; what is no pipe, or comes again, is closed: it may be anything by then."""
        for one in descriptors:
            if self.lifeline is None and stat.S_ISFIFO(os.fstat(one).st_mode):
                self.lifeline = one
            else:
                os.close(one)

    def kill(self) -> None:
        """End it without asking."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
