"""A master without generations of its own: the test plays them, at the other ends of their channels."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lbproxy.process.ipc.channel import Channel, Received
from lbproxy.process.ipc.master_messages import WITH_GENERATION, Export, Needs, Ready, ToGeneration
from lbproxy.process.ipc.messages import PROTOCOL
from lbproxy.process.ipc.reactor import Reactor
from lbproxy.process.master.generation_handle import GenerationHandle, Stage
from lbproxy.process.master.held_sockets import HeldSockets
from lbproxy.process.master.listening_sockets import MAKER, Place, Wanted
from lbproxy.process.master.master import Master
from lbproxy.process.master.sd_notify import Notifier

PLACE = Place("127.0.0.1", 0, "", "listener.a.bind")
NEEDS = Needs([Wanted("listener.a.bind", PLACE)], MAKER, PROTOCOL)


class Actor:
    """A generation that does nothing by itself: its process ends when it is told to."""

    def __init__(self, number: int, stage: Stage) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        ours, theirs = Channel.pair(WITH_GENERATION)
        self.channel = theirs
        self.handle = GenerationHandle(self.process.pid, number, ours, stage)

    def end(self) -> None:
        assert self.process.stdin is not None
        if not self.process.stdin.closed:
            self.process.stdin.write(b"\n")
            self.process.stdin.close()
        self.channel.close()

    def mumble(self, kind: str) -> None:
        """Say something of that kind that nobody can read: it has no field."""
        data = json.dumps({"type": kind}).encode()
        self.channel.socket.sendall(struct.pack("!IH", len(data), 0) + data)

    def heard(self) -> ToGeneration:
        """The next message."""
        return self.take().message

    def heard_all(self) -> list[ToGeneration]:
        """All messages that are there."""
        return [received.message for received in self.channel.receive()]

    def take(self) -> Received[ToGeneration]:
        return self.channel.wait()


class FakeMaster:
    """A master, and the actors that it believes are its handles; `launch` hands them out."""

    def __init__(self, **environment: str) -> None:
        self.reactor = Reactor()
        self.held_sockets = HeldSockets()
        self.actors: list[Actor] = []
        self.master = Master(Path("lb.toml"), self.reactor, self.held_sockets, Notifier(environment))

    def actor(self, stage: Stage = Stage.STARTING) -> Actor:
        self.master.number += 1
        actor = Actor(self.master.number, stage)
        self.actors.append(actor)
        self.master.adopt(actor.handle)
        return actor

    def serving(self, text: str = "") -> Actor:
        """One that has become the current one, with that text of a configuration."""
        actor = self.actor()
        actor.channel.send(NEEDS.but(text=text))
        self.until(lambda: self.held_sockets.sockets)
        actor.channel.send(Ready())
        self.until(lambda: self.master.current is actor.handle)
        actor.heard_all()
        return actor

    def asked(self) -> tuple[Actor, Actor]:
        """One that serves, and the next, which waits for what the other knows."""
        old, new = self.serving(), self.actor()
        new.channel.send(NEEDS)
        self.until(lambda: new.handle.wanted)
        assert old.heard() == Export()
        return old, new

    def until(self, condition: Callable[[], Any]) -> None:
        """Let the master work, a moment at least, until that is so."""

        def look() -> None:
            if condition():
                self.reactor.stop()
            else:
                self.reactor.later(0.001, look)

        self.reactor.later(0.01, look)
        self.reactor.run()

    def ends(self, actor: Actor) -> None:
        """The actor's process ends, and the master is told as SIGCHLD would."""
        actor.end()
        os.waitid(os.P_PID, actor.process.pid, os.WEXITED | os.WNOWAIT)
        self.master.caught(signal.SIGCHLD)
        actor.process.returncode = 0

    def kill(self, actor: Actor) -> None:
        """The same, by kill -9."""
        assert actor.process.stdin is not None
        actor.process.kill()
        actor.process.stdin.close()
        self.ends(actor)

    def close(self) -> None:
        for actor in self.actors:
            actor.end()
            actor.process.wait()
        self.held_sockets.close()
        self.reactor.close()
