"""The sockets that the master holds, so that they live as long as it, whatever becomes of generations."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from lbproxy.control.log import event
from lbproxy.errors import StartError
from lbproxy.process.master.listening_sockets import Owner, Place, Wanted, listen

log = logging.getLogger(__name__)

_FIRST = 3
"""The number of the first descriptor that a service manager passes (sd_listen_fds(3), SD_LISTEN_FDS_START)."""


class HeldSockets:
    """`sockets` by their place; `spare` are those that a service manager passed and no listener wants, by name.

    `from_manager` has the names of those that it passed and that are wanted: their files are not ours, and they are
    never closed, because no other process could bind their addresses while the manager has them.
    """

    def __init__(self) -> None:
        self.sockets: dict[Place, socket.socket] = {}
        self.spare: list[tuple[str, socket.socket]] = []
        self.from_manager: dict[Place, str] = {}

    def __repr__(self) -> str:
        return f"<held_sockets {' '.join(map(str, self.sockets)) or 'none'}>"

    def accept_given(self, environment: Mapping[str, str]) -> None:
        """Take what a service manager passes to this process, by $LISTEN_FDS and its like (sd_listen_fds(3))."""
        if environment.get("LISTEN_PID") != str(os.getpid()):
            return
        count = int(environment.get("LISTEN_FDS", "0"))
        names = environment.get("LISTEN_FDNAMES", "").split(":") + [""] * count
        for descriptor, name in zip(range(_FIRST, _FIRST + count), names, strict=False):
            sock = socket.socket(fileno=descriptor)
            sock.setblocking(False)
            sock.set_inheritable(False)
            self.spare.append((name, sock))

    def provide(self, wanted: Sequence[Wanted], owner: Owner, freebind: Collection[str] = ()) -> list[socket.socket]:
        """A socket for each place, in their order: one that is held, or given, or a new one. Raises StartError.

        freebind: the keys of those whose address may be one that this host does not have.
        """
        fresh: list[Place] = []
        try:
            for one in wanted:
                if one.place not in self.sockets:
                    self.sockets[one.place] = self._take_given(one) or listen(one, owner, freebind=one.key in freebind)
                    fresh.append(one.place)
        except StartError:
            self._close(fresh)
            raise
        return [self.sockets[one.place] for one in wanted]

    def keep(self, wanted: Iterable[Wanted]) -> None:
        """Close every socket that is not for one of these places; tell of those that the manager passed in vain."""
        self._close(self.sockets.keys() - {one.place for one in wanted})
        for name, sock in self.spare:
            event(log, logging.WARNING, "socket_unused", name=name or None, address=_address(sock))

    def close(self) -> None:
        """Accept no more; the files of Unix sockets stay until `remove_files`."""
        for sock in self.all():
            sock.close()

    def all(self) -> list[socket.socket]:
        """Every socket, wanted or not."""
        return [*self.sockets.values(), *(sock for _, sock in self.spare)]

    def remove_files(self) -> None:
        """Remove the files of all Unix sockets that were made here."""
        for place in self.sockets:
            self._remove_file(place)

    def _close(self, places: Iterable[Place]) -> None:
        for place in list(places):
            sock = self.sockets.pop(place)
            if place in self.from_manager:
                self.spare.append((self.from_manager.pop(place), sock))
            else:
                sock.close()
                self._remove_file(place)

    def _remove_file(self, place: Place) -> None:
        if place.path and place not in self.from_manager:
            with suppress(OSError):
                Path(place.path).unlink()

    def _take_given(self, wanted: Wanted) -> socket.socket | None:
        """One at the same address, else one with the listener's name (FileDescriptorName=)."""
        for matches in (_is_at, _is_named):
            for entry in self.spare:
                if matches(wanted, *entry):
                    self.spare.remove(entry)
                    self.from_manager[wanted.place], sock = entry
                    return sock
        return None


def _is_at(wanted: Wanted, _: str, sock: socket.socket) -> bool:
    place, name = wanted.place, sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return bool(place.path) and name == place.path
    return bool(place.port) and not place.path and name[:2] == (place.host, place.port)


def _address(sock: socket.socket) -> str:
    name = sock.getsockname()
    return f"unix:{name}" if sock.family == socket.AF_UNIX else str(Place(name[0], name[1]))


def _is_named(wanted: Wanted, name: str, _: socket.socket) -> bool:
    return name != "" and name == wanted.key.removeprefix("listener.").removesuffix(".bind")
