"""The master becomes the program that is installed now (USR2): execve(2) with everything that it holds kept open.

What the new image must know is in an anonymous file (memfd_create(2)), whose descriptor it is started with.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from lbproxy.process.ipc.channel import Channel
from lbproxy.process.master.generation_handle import GenerationHandle, Stage, command
from lbproxy.process.master.held_sockets import HeldSockets
from lbproxy.process.master.listening_sockets import Place, Wanted


class ReexecState(NamedTuple):
    """What one image of the master leaves to the next."""

    path: Path
    number: int
    handles: list[GenerationHandle]
    held_sockets: HeldSockets


def become_next(reexec_state: ReexecState) -> None:
    """Replace this process's program. Signals that are blocked wait for the next one.

    Returns only by raising OSError; then everything is as before.
    """
    descriptor = os.memfd_create("lbproxy-master")
    os.write(descriptor, json.dumps(_freeze(reexec_state)).encode())
    kept = [descriptor, *_descriptors(reexec_state)]
    arguments = command("resume", str(descriptor))
    try:
        _set_inheritable(kept, True)
        os.execv(arguments[0], arguments)
    finally:
        _set_inheritable(kept, False)
        os.close(descriptor)


def inherit(descriptor: int) -> ReexecState:
    """The same on the other side."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, "rb") as file:
        frozen = json.load(file)
    reexec_state = _thaw(frozen)
    _set_inheritable(_descriptors(reexec_state), False)
    return reexec_state


def _freeze(reexec_state: ReexecState) -> dict[str, Any]:
    held_sockets = reexec_state.held_sockets
    return {
        "path": str(reexec_state.path),
        "number": reexec_state.number,
        "children": [
            {
                "pid": handle.pid,
                "number": handle.number,
                "channel": handle.channel.fileno(),
                "stage": handle.stage.value,
                "wanted": handle.wanted,
                "rest": handle.channel.rest().hex(),
                "headline": handle.status_line,
            }
            for handle in reexec_state.handles
        ],
        "sockets": [
            {"place": place, "descriptor": sock.fileno(), "given": held_sockets.from_manager.get(place)}
            for place, sock in held_sockets.sockets.items()
        ],
        "spare": [{"name": name, "descriptor": sock.fileno()} for name, sock in held_sockets.spare],
    }


def _thaw(frozen: dict[str, Any]) -> ReexecState:
    held_sockets = HeldSockets()
    for one in frozen["sockets"]:
        place = Place(*one["place"])
        held_sockets.sockets[place] = socket.socket(fileno=one["descriptor"])
        if one["given"] is not None:
            held_sockets.from_manager[place] = one["given"]
    held_sockets.spare = [(one["name"], socket.socket(fileno=one["descriptor"])) for one in frozen["spare"]]
    return ReexecState(
        Path(frozen["path"]), frozen["number"], [_handle(one) for one in frozen["children"]], held_sockets
    )


def _handle(frozen: dict[str, Any]) -> GenerationHandle:
    channel = Channel(socket.socket(fileno=frozen["channel"]), bytes.fromhex(frozen["rest"]))
    handle = GenerationHandle(frozen["pid"], frozen["number"], channel, Stage(frozen["stage"]))
    handle.status_line = frozen["headline"]
    handle.wanted = [Wanted(key, Place(*place), admin) for key, place, admin in frozen["wanted"]]
    return handle


def _descriptors(reexec_state: ReexecState) -> list[int]:
    channels = [handle.channel.fileno() for handle in reexec_state.handles]
    return [*channels, *(sock.fileno() for sock in reexec_state.held_sockets.all())]


def _set_inheritable(descriptors: Iterable[int], inheritable: bool) -> None:
    for descriptor in descriptors:
        os.set_inheritable(descriptor, inheritable)
