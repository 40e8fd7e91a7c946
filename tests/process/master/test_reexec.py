"""What one image of the master leaves to the next, through a real exec."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

FIRST = """
import os, signal, socket, sys, threading
from pathlib import Path
from lbproxy.process.master import reexec
from lbproxy.process.ipc.channel import Channel
from lbproxy.process.ipc.master_messages import WITH_GENERATION, Alive
from lbproxy.process.master.generation_handle import GenerationHandle, Stage
from lbproxy.process.master.held_sockets import HeldSockets
from lbproxy.process.master.listening_sockets import MAKER, Place, Wanted
from lbproxy.process.master.reexec import ReexecState

wanted = Wanted("listener.a.bind", Place("127.0.0.1", 0, tag="a"))
held_sockets = HeldSockets()
[sock] = held_sockets.provide([wanted], MAKER)
held_sockets.from_manager[wanted.place] = "a"
held_sockets.spare.append(("b", socket.create_server(("127.0.0.1", 0))))
ours, theirs = Channel.pair(WITH_GENERATION)
theirs.send(Alive())
theirs.socket.send(b"\\0\\0")  # the beginning of a message
assert ours.receive()[0].message == Alive()
handle = GenerationHandle(4711, 3, ours, Stage.SERVING, protocol=2)
handle.wanted = [wanted]
handle.status_line = "serving well"
handle.lifeline, workers = os.pipe()
orphans, orphan = os.pipe()
os.set_inheritable(orphan, True)
state = ReexecState(Path("lb.toml"), 3, [handle], held_sockets, {2: orphans})
os.set_inheritable(theirs.fileno(), True)
kept = [str(theirs.fileno()), str(orphan)]
reexec.command = lambda *arguments: [sys.executable, "-c", os.environ["SECOND"], *arguments, *kept]
try:
    sys.executable, python = "/nonexistent", sys.executable
    reexec.become_next(state)
except OSError:
    assert not os.get_inheritable(sock.fileno())
sys.executable = python
print(sock.getsockname()[1], os.getpid(), flush=True)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
signal.pthread_kill(threading.get_ident(), signal.SIGHUP)
reexec.become_next(state)
"""

SECOND = """
import json, os, signal, socket, sys
from lbproxy.process.ipc.messages import to_fields
from lbproxy.process.master.reexec import inherit
reexec_state = inherit(int(sys.argv[2]))
theirs = socket.socket(fileno=int(sys.argv[3]))
theirs.send(b'\\0\\x10\\0\\0{"type":"alive"}')
[handle] = reexec_state.handles
os.write(int(sys.argv[4]), b"still there")
[(place, sock)] = reexec_state.held_sockets.sockets.items()
print(json.dumps({
    "path": str(reexec_state.path), "number": reexec_state.number, "pid": os.getpid(), "place": place,
    "port": sock.getsockname()[1],
    "child": [handle.pid, handle.number, handle.stage.value, handle.wanted, handle.status_line],
    "heard": to_fields(handle.channel.receive()[0].message), "protocol": handle.channel.protocol,
    "given": reexec_state.held_sockets.from_manager[place],
    "spare": [name for name, sock in reexec_state.held_sockets.spare],
    "lifeline": os.read(handle.lifeline, 9).decode(), "orphans": os.read(reexec_state.orphans[2], 99).decode(),
    "inheritable": os.get_inheritable(sock.fileno()),
    "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "pending": list(signal.sigpending()),
}))
"""


def test_everything_is_there_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIRST], env={**os.environ, "SECOND": SECOND}, capture_output=True, text=True, check=True
    )
    port, pid, told = done.stdout.split(maxsplit=2)
    place = ["127.0.0.1", 0, "", "a"]
    assert json.loads(told) == {
        "path": "lb.toml",
        "number": 3,
        "pid": int(pid),
        "place": place,
        "port": int(port),
        "child": [4711, 3, "serving", [["listener.a.bind", place, False]], "serving well"],
        "heard": {"type": "alive"},
        "protocol": 2,
        "given": "a",
        "spare": ["b"],
        "lifeline": "",
        "orphans": "still there",
        "inheritable": False,
        "blocked": [1],
        "pending": [1],
    }
    with socket.socket() as sock:  # nobody holds the address any more
        sock.bind(("127.0.0.1", int(port)))
