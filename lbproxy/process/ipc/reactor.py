"""The master's event loop: descriptors, signals and timers, and nothing that it need not import."""

from __future__ import annotations

import heapq
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from itertools import count
from typing import Any

from lbproxy.process.ipc.channel import Channel, Received
from lbproxy.process.ipc.messages import Hears, Says


class Reactor:
    """Calls back; one callback at a time, each of them short."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()  # timers of one moment go off in the order in which they were set
        self._channels: set[Channel[Any, Any]] = set()
        self._running = False
        self._signals: tuple[socket.socket, ...] = ()
        self._numbers: Collection[signal.Signals] = ()

    def __repr__(self) -> str:
        return f"<reactor {len(self._channels)} channels, {len(self._timers)} timers>"

    def signals(self, numbers: Collection[signal.Signals], caught: Callable[[signal.Signals], None]) -> None:
        """Call `caught` with each of these signals that comes, from `run` and never in the middle of anything."""
        receiver, sender = socket.socketpair()
        receiver.setblocking(False)
        sender.setblocking(False)
        for number in numbers:
            signal.signal(number, lambda *_: None)  # what matters is that it writes a byte (signal.set_wakeup_fd)
        signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)

        def read() -> None:
            for byte in receiver.recv(4096):
                caught(signal.Signals(byte))

        self._signals, self._numbers = (receiver, sender), numbers
        self._selector.register(receiver, selectors.EVENT_READ, read)
        self.release_signals()  # blocked since before an upgrade: none is lost

    def hold_signals(self) -> None:
        """Let signals wait, also those that came and were not told yet, until `release_signals` or beyond an exec."""
        signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)
        for receiver in self._signals[:1]:
            with suppress(BlockingIOError):
                for number in receiver.recv(4096):
                    signal.pthread_kill(threading.get_ident(), number)  # pending from now on (signal(7))

    def release_signals(self) -> None:
        """Tell of signals again."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._numbers)

    def watch(
        self, channel: Channel[Says, Hears], received: Callable[[Received[Hears]], None], ended: Callable[[], None]
    ) -> None:
        """Call `received` with each message, and `ended` once, when the peer has gone; the channel stays open."""
        self._channels.add(channel)

        def ready() -> None:
            channel.flush()
            try:
                messages = channel.receive()
            except EOFError:
                self._selector.unregister(channel)
                ended()
                return
            for message in messages:
                received(message)

        self._selector.register(channel, selectors.EVENT_READ, ready)

    def watch_end(self, descriptor: int, ended: Callable[[], None]) -> None:
        """Call `ended` once, when nobody has the writing end of that pipe any more; nobody writes to it."""

        def ready() -> None:
            self._selector.unregister(descriptor)
            ended()

        self._selector.register(descriptor, selectors.EVENT_READ, ready)

    def unwatch(self, channel: Channel[Any, Any]) -> None:
        """Call back for this channel no more, and close it."""
        if channel in self._channels:
            self._channels.discard(channel)
            if channel in self._selector.get_map():  # its peer has not gone
                self._selector.unregister(channel)
            channel.close()

    def later(self, seconds: float, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` once in so many seconds; what is returned prevents that."""
        entry = (time.monotonic() + seconds, next(self._order), callback)
        heapq.heappush(self._timers, entry)

        def cancel() -> None:
            if entry in self._timers:
                self._timers.remove(entry)
                heapq.heapify(self._timers)

        return cancel

    def run(self) -> None:
        """Until `stop`."""
        self._running = True
        while self._running:
            self._turn()

    def stop(self) -> None:
        """Let `run` return after the current callback's turn."""
        self._running = False

    def close(self) -> None:
        """Close everything that is watched; signals do nothing from now on.

        Unregisters nothing: in a fork that would end the watching in the parent, whose epoll set it shares (epoll(7)).
        """
        self._selector.close()
        if self._signals:
            signal.set_wakeup_fd(-1)
        for sock in self._signals:
            sock.close()
        for channel in self._channels:
            channel.close()
        self._channels.clear()

    def _turn(self) -> None:
        for channel in self._channels:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if channel.has_queue else 0)
            key = self._selector.get_map().get(channel)  # None: its peer has gone
            if key is not None and key.events != events:
                self._selector.modify(channel, events, key.data)
        timeout = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
        for key, _ in self._selector.select(timeout):
            if self._selector.get_map().get(key.fd) is key:  # not unwatched by a callback of this turn
                key.data()
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()
