"""Messages between two processes of lbproxy, over a Unix stream socket, and open sockets beside them.

A message is its length (4 bytes, big endian), the number of its descriptors (2 bytes), and that many bytes, which
`messages` encodes. The descriptors (SCM_RIGHTS, unix(7)) travel with the first byte of the message that they belong
to. Nothing here waits: what the kernel does not take is kept, and the owner of the channel calls `flush` when the
socket is writable again.
The master imports this, so it imports little.
"""

from __future__ import annotations

import logging
import os
import socket
import struct
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple

from lbproxy.control.log import event
from lbproxy.errors import MessageError
from lbproxy.process.ipc.messages import PROTOCOL, Conversation, Hears, Says, encode

log = logging.getLogger(__name__)

LIMIT = 64 * 1024 * 1024
"""Bytes of one message: the state of some 100,000 backends. More is a fault, not a message."""

MAX_DESCRIPTORS = 250
"""Of one message: SCM_MAX_FD is 253."""

_HEAD = struct.Struct("!IH")
_AT_ONCE = 65536
_ANCILLARY = socket.CMSG_SPACE(MAX_DESCRIPTORS * array("i").itemsize)


class Received(NamedTuple, Generic[Hears]):
    """A message, and the descriptors that came with it, which belong to the receiver."""

    message: Hears
    descriptors: list[int]


class Channel(Generic[Says, Hears]):
    """One end of a socket pair. Lost peers raise nothing on `send`: the end is told by `receive`.

    `protocol` is what the peer has greeted with: a message that is newer is not sent to it. `unreadable` is called with
    the error of each message that `receive` leaves out.
    """

    def __init__(self, sock: socket.socket, conversation: Conversation[Says, Hears], rest: bytes = b"") -> None:
        """sock: a connected Unix stream socket; it belongs to the channel from now on. rest: see `rest`."""
        sock.setblocking(False)
        self.socket = sock
        self.protocol = PROTOCOL
        self.unreadable: Callable[[MessageError], None] = lambda error: None
        self._conversation = conversation
        self._incoming = bytearray(rest)
        self._descriptors: list[int] = []
        self._outgoing: deque[tuple[memoryview, Sequence[int]]] = deque()
        self._gone = False

    @classmethod
    def pair(cls, conversation: Conversation[Says, Hears]) -> tuple[Channel[Says, Hears], Channel[Hears, Says]]:
        """Two that speak to each other; the first one's end is that of `conversation`."""
        one, other = socket.socketpair()
        return Channel(one, conversation), Channel(other, conversation.reverse())

    def __repr__(self) -> str:
        return f"<channel {self.socket.fileno()}{', gone' if self._gone else ''}>"

    def fileno(self) -> int:
        """For selectors and event loops."""
        return self.socket.fileno()

    @property
    def has_queue(self) -> bool:
        """Whether something waits for room: call `flush` once the socket is writable."""
        return bool(self._outgoing)

    @property
    def backlog(self) -> int:
        """How many messages wait for room."""
        return len(self._outgoing)

    # --- sending

    def send(self, message: Says, descriptors: Sequence[int] = ()) -> None:
        """Send `message`, now or by `flush`, unless the peer's version does not know it.

        The descriptors stay the caller's, and open until they are sent.
        """
        assert len(descriptors) <= MAX_DESCRIPTORS
        if message.since > self.protocol:
            return
        data = encode(message)
        self._outgoing.append((memoryview(_HEAD.pack(len(data), len(descriptors)) + data), tuple(descriptors)))
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as there is room."""
        while self._outgoing and not self._gone:
            data, descriptors = self._outgoing[0]
            try:
                sent = (
                    socket.send_fds(self.socket, [data], list(descriptors)) if descriptors else self.socket.send(data)
                )
            except BlockingIOError:
                return
            except OSError:
                self._gone = True
                break
            self._outgoing.popleft()
            if sent < len(data):
                self._outgoing.appendleft((data[sent:], ()))
        if self._gone:
            self._outgoing.clear()

    # --- receiving

    def receive(self) -> list[Received[Hears]]:
        """Every whole message that is there. Raises EOFError when the peer is gone and all was received.

        A message that cannot be read is logged and left out; see `unreadable`.
        """
        ended = self._gather()
        found = []
        while (raw := self._next()) is not None:
            try:
                one = self._decode(*raw)
            except MessageError as error:
                event(log, logging.ERROR, "message_unreadable", problem=error)
                self.unreadable(error)
                continue
            if one is not None:
                found.append(one)
        if ended and not found:
            raise EOFError
        return found

    def wait(self) -> Received[Hears]:
        """The next message, however long it takes. For processes without a loop; EOFError as in `receive`.

        Raises MessageError for one that cannot be read.
        """
        self.socket.setblocking(True)
        try:
            while True:
                while (raw := self._next()) is None:
                    if not self._take_in():
                        raise EOFError
                if (one := self._decode(*raw)) is not None:
                    return one
        except ConnectionError:
            raise EOFError from None
        finally:
            self.socket.setblocking(False)

    def rest(self) -> bytes:
        """The beginning of a message whose end has not come yet: for a channel made of the same socket."""
        return bytes(self._incoming)

    def close(self) -> None:
        """Close this end; the peer is told by EOFError."""
        self.socket.close()

    def _gather(self) -> bool:
        """Take in what the kernel has; True at the end of the stream."""
        while True:
            try:
                if not self._take_in():
                    return True
            except BlockingIOError:
                return False
            except OSError:
                return True

    def _take_in(self) -> bool:
        """One call of the kernel; False at the end of the stream."""
        # Not socket.recv_fds: CPython 3.11's drops its flags.
        data, ancillary, _, _ = self.socket.recvmsg(_AT_ONCE, _ANCILLARY, socket.MSG_CMSG_CLOEXEC)
        self._incoming += data
        for _, _, packed in ancillary:
            self._descriptors += array("i", packed)
        return bool(data)

    def _next(self) -> tuple[bytes, list[int]] | None:
        if len(self._incoming) < _HEAD.size:
            return None
        size, count = _HEAD.unpack_from(self._incoming)
        assert size <= LIMIT, f"a message of {size} bytes"
        end = _HEAD.size + size
        if len(self._incoming) < end:
            return None
        data = bytes(self._incoming[_HEAD.size : end])
        del self._incoming[:end]
        descriptors, self._descriptors = self._descriptors[:count], self._descriptors[count:]
        return data, descriptors

    def _decode(self, data: bytes, descriptors: list[int]) -> Received[Hears] | None:
        """None, if its kind is unknown; then its descriptors are closed, and so they are when it raises."""
        message = None
        try:
            message = self._conversation.decode(data)
        finally:
            if message is None:
                for descriptor in descriptors:
                    os.close(descriptor)
        return None if message is None else Received(message, descriptors)
