"""A generation as the master knows it."""

from __future__ import annotations

import os
import signal
import sys

from lbproxy.process.ipc.channel import Channel
from lbproxy.process.master.generation_handle import GenerationHandle, command, spawn
from tests.process.conftest import Pair


def test_a_command_is_this_interpreter_and_imports_nothing_that_lies_around() -> None:
    assert command("rehearse") == [sys.executable, "-P", "-m", "lbproxy.process", "rehearse"]


def test_a_child_starts_with_signals_as_usual() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    seen = "signal.getsignal(signal.SIGUSR1), signal.pthread_sigmask(signal.SIG_BLOCK, [])"
    try:
        pid = spawn([sys.executable, "-c", f"import signal; print({seen}, file=open({writer}, 'w'))"])
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])
        os.close(writer)
    assert os.waitpid(pid, 0)[1] == 0
    with os.fdopen(reader) as output:
        assert output.read() == "0 set()\n"


def test_a_child_that_is_gone_can_be_killed_and_told(pair: Pair) -> None:
    ours, theirs = pair()
    pid = spawn(["/bin/true"])
    os.waitpid(pid, 0)
    handle = GenerationHandle(pid, 7, ours)
    handle.kill()
    handle.tell("drain", gently=True)
    assert theirs.wait().message == {"type": "drain", "gently": True}
    theirs.close()
    handle.tell("drain")
    assert "generation 7" in repr(handle)
    assert isinstance(handle.channel, Channel)
