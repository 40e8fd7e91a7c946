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
from lbproxy.process import upgrade
from lbproxy.process.channel import Channel
from lbproxy.process.child import Child, Stage
from lbproxy.process.holdings import Holdings
from lbproxy.process.sockets import MAKER, Place, Wanted
from lbproxy.process.upgrade import Estate

wanted = Wanted("listener.a.bind", Place("127.0.0.1", 0, tag="a"))
holdings = Holdings()
[sock] = holdings.provide([wanted], MAKER)
holdings.from_manager[wanted.place] = "a"
holdings.spare.append(("b", socket.create_server(("127.0.0.1", 0))))
ours, theirs = Channel.pair()
theirs.send({"type": "sent before"})
theirs.socket.send(b"\\0\\0")  # the beginning of a message
assert ours.receive()[0].message == {"type": "sent before"}
child = Child(4711, 3, ours, Stage.SERVING)
child.wanted = [wanted]
child.headline = "serving well"
os.set_inheritable(theirs.fileno(), True)
upgrade.command = lambda *arguments: [sys.executable, "-c", os.environ["SECOND"], *arguments, str(theirs.fileno())]
try:
    sys.executable, python = "/nonexistent", sys.executable
    upgrade.become_next(Estate(Path("lb.toml"), 3, [child], holdings))
except OSError:
    assert not os.get_inheritable(sock.fileno())
sys.executable = python
print(sock.getsockname()[1], os.getpid(), flush=True)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
signal.pthread_kill(threading.get_ident(), signal.SIGHUP)
upgrade.become_next(Estate(Path("lb.toml"), 3, [child], holdings))
"""

SECOND = """
import json, os, signal, socket, sys
from lbproxy.process.upgrade import inherit
estate = inherit(int(sys.argv[2]))
theirs = socket.socket(fileno=int(sys.argv[3]))
theirs.send(b"\\0\\2\\0\\0{}")
[child] = estate.children
[(place, sock)] = estate.holdings.sockets.items()
print(json.dumps({
    "path": str(estate.path), "number": estate.number, "pid": os.getpid(), "place": place,
    "port": sock.getsockname()[1],
    "child": [child.pid, child.number, child.stage.value, child.wanted, child.headline],
    "heard": child.channel.receive()[0].message,
    "given": estate.holdings.from_manager[place], "spare": [name for name, sock in estate.holdings.spare],
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
        "heard": {},
        "given": "a",
        "spare": ["b"],
        "inheritable": False,
        "blocked": [1],
        "pending": [1],
    }
    with socket.socket() as sock:  # nobody holds the address any more
        sock.bind(("127.0.0.1", int(port)))
