"""What facts are read from, at one backend."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from lbproxy.control.consistency.page import Page, PageRequest
from lbproxy.control.consistency.places import Place
from lbproxy.control.consistency.reading import Reading, Unreadable, shortened
from lbproxy.control.probes.attempt import describe
from lbproxy.control.probes.connect import shake_hands


class Source(Protocol):
    """One thing to ask a backend for, and the facts that are in the answer."""

    async def read(self) -> Mapping[str, Reading]:
        """Each of its facts by name. It ends within its own timeout; whatever the backend does is a reading."""
        ...


@dataclass(frozen=True, slots=True)
class PageSource:
    """A page and the `places` of the facts in it; it is fetched once for all of them."""

    request: PageRequest
    places: Mapping[str, Place]

    async def read(self) -> Mapping[str, Reading]:
        """See `Source`."""
        try:
            page = await self.request.fetch()
        except Unreadable as error:
            return dict.fromkeys(self.places, Reading(None, str(error)))
        return {fact: _found(place, page) for fact, place in self.places.items()}


def _found(place: Place, page: Page) -> Reading:
    try:
        return Reading(shortened(place(page)))
    except Unreadable as error:
        return Reading(None, str(error))


@dataclass(frozen=True, slots=True)
class CertificateSource:
    """The SHA-256 fingerprint of the certificate that the server at `host` and `port` presents, in hex.

    `tls` verifies nothing: the guard compares, it does not judge. `server_name` is the SNI, `greeting` that of
    `probes.connect`, `question` that of `probes.attempt`, and the handshake may take `timeout` seconds.
    """

    fact: str
    host: str
    port: int
    timeout: float
    tls: ssl.SSLContext
    server_name: str
    greeting: bytes = b""
    question: str = ""

    async def read(self) -> Mapping[str, Reading]:
        """See `Source`."""
        return {self.fact: await self._fingerprint()}

    async def _fingerprint(self) -> Reading:
        try:
            async with asyncio.timeout(self.timeout) as limit:
                shown = await shake_hands(self.host, self.port, self.tls, self.server_name, self.greeting)
        except OSError as error:  # TimeoutError is one: the limit's, or the kernel's ETIMEDOUT
            late = f"no answer within {self.timeout:g} s"
            return Reading(None, late if limit.expired() else describe(error, self.question))
        return Reading(hashlib.sha256(shown.certificate).hexdigest())


@dataclass(frozen=True, slots=True)
class KeySource:
    """The version of the service's key, as the backend's kerberos probe has seen it last; nothing is asked here."""

    fact: str
    kvno: Callable[[], int | None]

    async def read(self) -> Mapping[str, Reading]:
        """See `Source`."""
        kvno = self.kvno()
        return {self.fact: Reading(None, "no ticket was accepted yet") if kvno is None else Reading(str(kvno))}
