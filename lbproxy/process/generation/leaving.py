"""This host leaves: its virtual addresses move to another host while it still serves, so that no client is refused.

    1. Health says no: `lbproxy health`, and /readyz for those who ask that instead.
    2. The program that moves the addresses (keepalived) asks for the health, and hears it. From then on new connections
       wait for the other host: their SYN is dropped here, and sent again after a second. Requests under way finish.
    3. The kernel tells that the addresses are gone, or `leave_timeout` has passed. What is still open to an address
       that is gone can reach nobody any more, and is cut.

Without virtual addresses something else sends clients elsewhere, by /readyz: 2 is left out, and 3 is `leave_timeout`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import Protocol

from lbproxy.config import Config
from lbproxy.control import tasks
from lbproxy.control.host_addresses import AddressChanges, present
from lbproxy.control.log import event
from lbproxy.control.snapshot import LeaveView
from lbproxy.errors import AdminError
from lbproxy.ip_addresses import IpAddress

log = logging.getLogger(__name__)

HOLD_AT_MOST = 3.0
"""Seconds that new connections wait for another host; then they are served here again."""

_LATE = 1.0  # seconds after `leave_timeout`, by which its end has been noticed


class Holds(Protocol):
    """The data path: see `DataPath`."""

    @property
    def connections(self) -> int: ...

    def hold(self, names: Iterable[str]) -> None: ...

    def release(self, gone: Collection[str]) -> None: ...


class Leaving:
    """`active`: this host is leaving, or has left. `changed` is called with it when an operator has changed it."""

    def __init__(
        self,
        config: Config,
        serving: Holds,
        show: Callable[[bool], None],
        changed: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """show: called with `active` whenever it changes. Call it on the running loop."""
        self.active = False
        self.changed = changed
        self._addresses: Sequence[IpAddress] = config.virtual_addresses
        self._listeners = at(config)
        self._within = config.leave_within
        self._serving = serving
        self._show = show
        self._over = asyncio.Event()
        self._ending = False
        self._task: asyncio.Task[None] | None = None
        self._hold: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<leaving: {self.active}, {len(self._addresses)} virtual addresses>"

    def view(self) -> LeaveView:
        """How far it is."""
        here = self._here()
        return {
            "leaving": self.active,
            "over": self.active and self._over.is_set(),
            "here": [str(one) for one in here],
            "elsewhere": [str(one) for one in self._addresses if one not in here],
            "connections": self._serving.connections,
        }

    # --- orders

    def leave(self, within: float | None, by: str) -> LeaveView:
        """Begin to leave, unless it has begun. within: seconds instead of `leave_timeout`. by: who orders it."""
        if not self.active:
            self._begin(self._within if within is None else within, by)
            self.changed(True)
        return self.view()

    def cancel(self, by: str) -> LeaveView:
        """Serve as before: this host may have the addresses again. It takes none from another host.

        Raises AdminError when lbproxy ends.
        """
        if self._ending:
            raise AdminError("lbproxy ends; this host cannot have its virtual addresses again before the next start")
        if self.active:
            self.adopt(False)
            event(log, logging.INFO, "leave_cancelled", by=by)
            self.changed(False)
        return self.view()

    async def finish(self) -> None:
        """Before the end: leave, and return when nothing is waited for any more. At once if that is `leave_timeout`."""
        self._ending = True
        patience = self._within  # an operator may have more than an end has
        if not self.active and self._within:
            self._begin(self._within, "TERM")
            patience += _LATE
        await tasks.wait_for(self._over, patience)

    def adopt(self, active: bool) -> None:
        """Go on where the generation before this one is. An address that is here has `leave_timeout` to go, anew."""
        self._set(active)
        if self._task is not None:
            self._task.cancel()
        self._over.clear()
        if not active:
            self._release([])
        elif self._here():
            self._task = tasks.start(self._wait(self._within), name="leaving")
        else:
            self._over.set()

    def asked(self) -> None:
        """The program that moves the addresses asks for the health: if this host leaves, they are about to move."""
        if self.active and not self._over.is_set() and self._hold is None and self._here():
            self._hold = asyncio.get_running_loop().call_later(HOLD_AT_MOST, self._serving.release, [])
            self._serving.hold(self._listeners)

    async def stop(self) -> None:
        """Wait for nothing any more."""
        await tasks.stop(self._task)

    # ---

    def _begin(self, within: float, by: str) -> None:
        self._set(True)
        event(log, logging.INFO, "leaving", addresses=_texts(self._here()), within=within, by=by)
        self._task = tasks.start(self._wait(within), name="leaving")

    def _set(self, active: bool) -> None:
        self.active = active
        self._show(active)

    async def _wait(self, within: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._until_gone()
        here = self._here()
        self._release([name for name, address in self._listeners.items() if address and address not in here])
        if here:
            event(log, logging.WARNING, "leave_timeout", addresses=_texts(here), within=within)
        else:
            event(log, logging.INFO, "left", addresses=_texts(self._addresses), connections=self._serving.connections)
        self._over.set()

    async def _until_gone(self) -> None:
        try:
            with AddressChanges() as changes:
                while not self._addresses or self._here():
                    await changes.next()
        except OSError as error:
            event(log, logging.ERROR, "addresses_unknown", error=error.strerror)
            await asyncio.Event().wait()

    def _release(self, gone: list[str]) -> None:
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None
        self._serving.release(gone)

    def _here(self) -> Sequence[IpAddress]:
        """The virtual addresses that this host has; all of them if the kernel does not say."""
        if not self._addresses:
            return ()
        try:
            return present(self._addresses)
        except OSError:
            return self._addresses


def at(config: Config) -> dict[str, IpAddress | None]:
    """The listeners that clients reach at virtual addresses, each with its own one, or None: it has several."""
    found: dict[str, IpAddress | None] = {}
    versions = {one.version for one in config.virtual_addresses}
    for name, listener in config.listeners.items():
        ip = listener.bind.ip
        if ip in config.virtual_addresses:
            found[name] = ip
        elif ip is not None and ip.is_unspecified and ip.version in versions:
            found[name] = None
    return found


def _texts(addresses: Iterable[IpAddress]) -> str:
    return " ".join(map(str, addresses))
