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

from lbproxy.process.channel import Channel
from lbproxy.process.child import Child, Stage, command
from lbproxy.process.holdings import Holdings
from lbproxy.process.sockets import Place, Wanted


class Estate(NamedTuple):
    """What one image of the master leaves to the next."""

    path: Path
    number: int
    children: list[Child]
    holdings: Holdings


def become_next(estate: Estate) -> None:
    """Replace this process's program. Signals that are blocked wait for the next one.

    Returns only by raising OSError; then everything is as before.
    """
    descriptor = os.memfd_create("lbproxy-master")
    os.write(descriptor, json.dumps(_freeze(estate)).encode())
    kept = [descriptor, *_descriptors(estate)]
    arguments = command("resume", str(descriptor))
    try:
        _set_inheritable(kept, True)
        os.execv(arguments[0], arguments)
    finally:
        _set_inheritable(kept, False)
        os.close(descriptor)


def inherit(descriptor: int) -> Estate:
    """The same on the other side."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, "rb") as file:
        frozen = json.load(file)
    estate = _thaw(frozen)
    _set_inheritable(_descriptors(estate), False)
    return estate


def _freeze(estate: Estate) -> dict[str, Any]:
    holdings = estate.holdings
    return {
        "path": str(estate.path),
        "number": estate.number,
        "children": [
            {
                "pid": child.pid,
                "number": child.number,
                "channel": child.channel.fileno(),
                "stage": child.stage.value,
                "wanted": child.wanted,
                "rest": child.channel.rest().hex(),
                "headline": child.headline,
            }
            for child in estate.children
        ],
        "sockets": [
            {"place": place, "descriptor": sock.fileno(), "given": holdings.from_manager.get(place)}
            for place, sock in holdings.sockets.items()
        ],
        "spare": [{"name": name, "descriptor": sock.fileno()} for name, sock in holdings.spare],
    }


def _thaw(frozen: dict[str, Any]) -> Estate:
    holdings = Holdings()
    for one in frozen["sockets"]:
        place = Place(*one["place"])
        holdings.sockets[place] = socket.socket(fileno=one["descriptor"])
        if one["given"] is not None:
            holdings.from_manager[place] = one["given"]
    holdings.spare = [(one["name"], socket.socket(fileno=one["descriptor"])) for one in frozen["spare"]]
    return Estate(Path(frozen["path"]), frozen["number"], [_child(one) for one in frozen["children"]], holdings)


def _child(frozen: dict[str, Any]) -> Child:
    channel = Channel(socket.socket(fileno=frozen["channel"]), bytes.fromhex(frozen["rest"]))
    child = Child(frozen["pid"], frozen["number"], channel, Stage(frozen["stage"]))
    child.headline = frozen["headline"]
    child.wanted = [Wanted(key, Place(*place), admin) for key, place, admin in frozen["wanted"]]
    return child


def _descriptors(estate: Estate) -> list[int]:
    channels = [child.channel.fileno() for child in estate.children]
    return [*channels, *(sock.fileno() for sock in estate.holdings.all())]


def _set_inheritable(descriptors: Iterable[int], inheritable: bool) -> None:
    for descriptor in descriptors:
        os.set_inheritable(descriptor, inheritable)
