"""The master becomes the program that is installed now (USR2): execve(2) with everything that it holds kept open.

What the new image must know is in an anonymous file (memfd_create(2)), whose descriptor it is started with. It is a
`ReexecRecord`, encoded as messages are: what holds for those of two versions holds for it too. `upgrade` lets the next
program read it before the exec.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from lbproxy import files
from lbproxy.errors import MessageError
from lbproxy.process.ipc.channel import Channel
from lbproxy.process.ipc.master_messages import WITH_GENERATION
from lbproxy.process.ipc.message import Message, field
from lbproxy.process.ipc.messages import build, encode
from lbproxy.process.master.generation_handle import GenerationHandle, Stage, command
from lbproxy.process.master.held_sockets import HeldSockets
from lbproxy.process.master.listening_sockets import Place, Wanted


class ReexecState(NamedTuple):
    """What one image of the master leaves to the next."""

    path: Path
    number: int
    handles: list[GenerationHandle]
    held_sockets: HeldSockets
    orphans: Mapping[int, int] = MappingProxyType({})
    """See `Endings`."""


class GenerationRecord(Message):
    """A `GenerationHandle`: `channel` is its descriptor, `rest` what the channel has taken in, in hexadecimal."""

    kind = "generation"
    pid: int
    number: int
    channel: int
    stage: Stage
    wanted: list[Wanted]
    rest: str
    headline: str
    protocol: int = 1
    text: str = ""
    lifeline: int | None = None


class OrphanRecord(Message):
    """One of `Endings.orphans`."""

    kind = "orphan"
    number: int
    lifeline: int


class SocketRecord(Message):
    """One of `HeldSockets.sockets`; `given` is its name in `from_manager`."""

    kind = "socket"
    place: Place
    descriptor: int
    given: str | None


class SpareRecord(Message):
    """One of `HeldSockets.spare`."""

    kind = "spare"
    name: str
    descriptor: int


class ReexecRecord(Message):
    """A `ReexecState` in numbers and text."""

    kind = "reexec"
    path: str
    number: int
    children: list[GenerationRecord]
    sockets: list[SocketRecord]
    spare: list[SpareRecord]
    orphans: list[OrphanRecord] = field(default_factory=list)


def become_next(reexec_state: ReexecState) -> None:
    """Replace this process's program. Signals that are blocked wait for the next one.

    Returns only by raising OSError; then everything is as before.
    """
    descriptor = write(reexec_state)
    kept = [descriptor, *_descriptors(reexec_state)]
    arguments = command("resume", str(descriptor))
    try:
        _set_inheritable(kept, True)
        os.execv(arguments[0], arguments)
    finally:
        _set_inheritable(kept, False)
        os.close(descriptor)


def write(reexec_state: ReexecState) -> int:
    """The descriptor of a new file with the state in it. Raises OSError."""
    return files.in_memory("lbproxy-master", encode(_freeze(reexec_state)))


def read(descriptor: int) -> ReexecRecord:
    """What is in that file; no other descriptor is touched. Raises MessageError."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    with open(descriptor, "rb") as file:
        try:
            frozen = json.load(file)
        except ValueError as error:
            raise MessageError(f"the master's state is no JSON: {error}") from None
    return build(ReexecRecord, frozen)


def inherit(descriptor: int) -> ReexecState:
    """What the image before this one has left. Raises MessageError."""
    reexec_state = _thaw(read(descriptor))
    _set_inheritable(_descriptors(reexec_state), False)
    return reexec_state


def _freeze(reexec_state: ReexecState) -> ReexecRecord:
    held_sockets = reexec_state.held_sockets
    return ReexecRecord(
        str(reexec_state.path),
        reexec_state.number,
        [
            GenerationRecord(
                handle.pid,
                handle.number,
                handle.channel.fileno(),
                handle.stage,
                handle.wanted,
                handle.channel.rest().hex(),
                handle.status_line,
                handle.channel.protocol,
                handle.text,
                handle.lifeline,
            )
            for handle in reexec_state.handles
        ],
        [
            SocketRecord(place, sock.fileno(), held_sockets.from_manager.get(place))
            for place, sock in held_sockets.sockets.items()
        ],
        [SpareRecord(name, sock.fileno()) for name, sock in held_sockets.spare],
        [OrphanRecord(*one) for one in reexec_state.orphans.items()],
    )


def _thaw(record: ReexecRecord) -> ReexecState:
    held_sockets = HeldSockets()
    for one in record.sockets:
        held_sockets.sockets[one.place] = socket.socket(fileno=one.descriptor)
        if one.given is not None:
            held_sockets.from_manager[one.place] = one.given
    held_sockets.spare = [(one.name, socket.socket(fileno=one.descriptor)) for one in record.spare]
    handles, orphans = [_handle(one) for one in record.children], {one.number: one.lifeline for one in record.orphans}
    return ReexecState(Path(record.path), record.number, handles, held_sockets, orphans)


def _handle(record: GenerationRecord) -> GenerationHandle:
    channel = Channel(socket.socket(fileno=record.channel), WITH_GENERATION, bytes.fromhex(record.rest))
    handle = GenerationHandle(record.pid, record.number, channel, record.stage, record.protocol)
    handle.status_line = record.headline
    handle.wanted = record.wanted
    handle.text = record.text
    handle.lifeline = record.lifeline
    return handle


def _descriptors(reexec_state: ReexecState) -> list[int]:
    channels = [handle.channel.fileno() for handle in reexec_state.handles]
    lifelines = [handle.lifeline for handle in reexec_state.handles if handle.lifeline is not None]
    return [
        *channels,
        *lifelines,
        *reexec_state.orphans.values(),
        *(sock.fileno() for sock in reexec_state.held_sockets.all()),
    ]


def _set_inheritable(descriptors: Iterable[int], inheritable: bool) -> None:
    for descriptor in descriptors:
        os.set_inheritable(descriptor, inheritable)
