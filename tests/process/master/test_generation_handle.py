"""A generation as the master knows it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from lbproxy.process.ipc.channel import Channel
from lbproxy.process.ipc.master_messages import WITH_GENERATION, Drain, ReloadFailed
from lbproxy.process.master import generation_handle
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
    ours, theirs = pair(WITH_GENERATION)
    pid = spawn(["/bin/true"])
    os.waitpid(pid, 0)
    handle = GenerationHandle(pid, 7, ours)
    handle.kill()
    handle.send(Drain())
    assert theirs.wait().message == Drain()
    theirs.close()
    handle.send(Drain())
    assert "generation 7" in repr(handle)
    assert isinstance(handle.channel, Channel)


def test_a_generation_is_told_nothing_that_its_version_does_not_know(pair: Pair) -> None:
    """One that has not greeted may be of the first version."""
    ours, theirs = pair(WITH_GENERATION)
    handle = GenerationHandle(0, 7, ours)
    handle.send(ReloadFailed(["x: missing"], 1.0))
    handle.channel.protocol = 2
    handle.send(ReloadFailed(["y: missing"], 2.0))
    assert theirs.wait().message == ReloadFailed(["y: missing"], 2.0)


def test_a_generation_can_be_given_a_text_in_the_place_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    code = f"import os, sys; os.write({writer}, open(int(sys.argv[5]), 'rb').read())"
    monkeypatch.setattr(generation_handle, "command", lambda *words: [sys.executable, "-c", code, *words])
    handle = GenerationHandle.start(7, Path("lb.toml"), "server_url = 'ä'\r\n")
    os.close(writer)
    assert os.waitpid(handle.pid, 0)[1] == 0
    with os.fdopen(reader, "rb") as output:
        assert output.read().decode() == "server_url = 'ä'\r\n"
    handle.channel.close()


def test_its_lifeline_is_the_first_pipe_that_it_sends(pair: Pair) -> None:
    """Later it may have met clients, and send anything."""
    handle = GenerationHandle(0, 7, pair(WITH_GENERATION)[0])
    reading, writing = os.pipe()
    file, again = os.open("/dev/null", os.O_RDONLY), os.dup(reading)
    handle.keep([file, reading])
    handle.keep([again])
    assert handle.lifeline == reading
    for closed in (file, again):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(closed)
    os.close(reading)
    os.close(writing)
