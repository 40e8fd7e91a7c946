"""A generation's process, up to its loop."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbproxy.errors import ConfigError, StartError
from lbproxy.process.generation.main import ask, main, prepare
from lbproxy.process.ipc.channel import MAX_DESCRIPTORS
from lbproxy.process.ipc.master_messages import WITH_MASTER, End, Failed, Lifeline, Needs, Ready, Reopen, Start
from lbproxy.process.ipc.messages import PROTOCOL
from tests.process.conftest import Pair
from tests.process.generation.test_generation import CONFIG
from tests.status.test_served import ORIGIN


def write(folder: Path, text: str) -> Path:
    path = folder / "lb.toml"
    path.write_text(text)
    return path


def test_what_preflight_finds_is_an_error(tmp_path: Path) -> None:
    bad = CONFIG.format(port=9, kind="none").replace('path = ""', 'path = "no/such/folder/access.log"')
    with pytest.raises(ConfigError, match=r"access_log\.path"):
        prepare(write(tmp_path, bad))


@pytest.fixture
def signals() -> Iterator[None]:
    """Are as they were, in the end."""
    numbers = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
def test_problems_are_told_to_the_master(tmp_path: Path, pair: Pair) -> None:
    ours, master = pair(WITH_MASTER)
    assert main(ours.socket.detach(), 1, write(tmp_path, "workerz = 1")) == 1
    told = master.wait().message
    assert isinstance(told, Failed)
    assert any("workerz" in problem for problem in told.problems)


@pytest.mark.parametrize("answer", [End(), None])
def test_without_sockets_it_ends(tmp_path: Path, pair: Pair, answer: End | None) -> None:
    ours, master = pair(WITH_MASTER)
    config, _ = prepare(write(tmp_path, CONFIG.format(port=9, kind="none")))
    if answer is None:
        master.close()
    else:
        master.send(answer)
    assert ask(ours, 1, config, ORIGIN) is None


def test_more_places_than_a_message_carries_are_an_error(tmp_path: Path, pair: Pair) -> None:
    """And not one that the master meets first."""
    ours, master = pair(WITH_MASTER)
    text = CONFIG.format(port=9, kind="none")
    more = [f'[listener.l{number}]\nbind = "127.0.0.1:0"\npool = "connectors"\n' for number in range(MAX_DESCRIPTORS)]
    config, _ = prepare(write(tmp_path, text + "".join(more)))
    master.send(End())
    with pytest.raises(StartError, match="250"):
        ask(ours, 1, config, ORIGIN)


def test_it_asks_for_its_places_and_gets_their_sockets(tmp_path: Path, pair: Pair) -> None:
    ours, master = pair(WITH_MASTER)
    config, _ = prepare(write(tmp_path, CONFIG.format(port=9, kind="none")))
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as admin:

        def answer() -> None:
            needs = master.wait().message
            assert isinstance(needs, Needs)
            assert (needs.protocol, needs.text) == (PROTOCOL, "the text")
            assert [key for key, *_ in needs.places] == ["listener.login.bind", "admin.bind"]
            master.send(Reopen())  # what all are told is not for who has nothing yet
            master.send(Start(None), [listener.fileno(), admin.fileno()])

        thread = threading.Thread(target=answer)
        thread.start()
        inherited = ask(ours, 3, config, ORIGIN, "the text")
        thread.join()
        assert inherited is not None
        assert (inherited.number, inherited.origin) == (3, ORIGIN)
        assert inherited.sockets["login"].getsockname() == listener.getsockname()
        for sock in (inherited.sockets["login"], inherited.admin):
            sock.close()


def test_workers_do_not_load_a_control_plane() -> None:
    """They are forks of what is loaded by then, and each would keep its copy of what it has no use for."""
    code = "import sys, lbproxy.process.generation.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "lbproxy.process.workers.main" in loaded
    assert not {"aiohttp", "prometheus_client", "lbproxy.process.generation.control_plane"} & set(loaded)


def test_what_another_version_left_is_not_misread(tmp_path: Path, pair: Pair) -> None:
    """The session keys are the same in all of them."""
    theirs, master = pair(WITH_MASTER)
    path = write(tmp_path, CONFIG.format(port=9, kind="none"))
    left = {"format": 0, "backends": "in another form", "secret": {"value": "00" * 32, "made": time.monotonic()}}
    number = theirs.fileno()
    command = [sys.executable, "-m", "lbproxy.process", "generation", str(number), "2", str(path)]
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_server(("127.0.0.1", 0)) as admin,
        subprocess.Popen(command, pass_fds=[number], stderr=subprocess.PIPE, text=True) as child,
    ):
        theirs.close()
        try:
            assert isinstance(master.wait().message, Needs)
            master.send(Start(left), [listener.fileno(), admin.fileno()])
            while not isinstance(master.wait().message, Ready):
                pass
            master.send(End())
            _, said = child.communicate(timeout=20)
        finally:
            child.kill()
    assert "state_forgotten" in said


def test_the_master_gets_a_pipe_that_ends_with_the_last_process_of_a_generation(tmp_path: Path, pair: Pair) -> None:
    """Also of one that is killed, whose workers go on while they have clients."""
    theirs, master = pair(WITH_MASTER)
    path = write(tmp_path, "workers = 2\n" + CONFIG.format(port=9, kind="none"))
    number = theirs.fileno()
    command = [sys.executable, "-m", "lbproxy.process", "generation", str(number), "1", str(path)]
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_server(("127.0.0.1", 0)) as admin,
        subprocess.Popen(command, pass_fds=[number], stderr=subprocess.PIPE) as child,
    ):
        theirs.close()
        try:
            assert isinstance(master.wait().message, Needs)
            master.send(Start(None, PROTOCOL), [listener.fileno(), admin.fileno()])
            told = master.wait()
            assert isinstance(told.message, Lifeline)
            while not isinstance(master.wait().message, Ready):
                pass
            client = socket.create_connection(listener.getsockname())
            client.sendall(b"GET /")  # a worker has it when it has taken that in
            while is_ready(listener):
                pass
        finally:
            child.kill()
    [lifeline] = told.descriptors
    assert not is_ready(lifeline)
    client.close()
    assert os.read(lifeline, 1) == b""
    os.close(lifeline)


def is_ready(one: int | socket.socket) -> bool:
    return bool(select.select([one], [], [], 0)[0])
