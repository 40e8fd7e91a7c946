"""TLS towards the backends of a pool: authorities, the certificate that lbproxy shows, resumed sessions."""

from __future__ import annotations

import socket
import ssl
import time
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

from lbproxy.auth.library import serialization
from lbproxy.auth.mint import Minted
from lbproxy.net.tls.files import Expiry, expiries_of, in_memory, load_pair, read_authorities
from lbproxy.net.tls.renewed import Renewed

MAX_USERS = 512
"""Users with a minted certificate whose context is kept: those that used it last. Each holds about 30 KB."""


class BackendContext:
    """A context for the backends of one pool, in one identity, and the last session with each backend.

    A session is offered in this context only, so no user can appear as another one by resuming it.
    """

    def __init__(self, context: ssl.SSLContext, server_name: str | None) -> None:
        """server_name: what certificates have to be for; None: the backend's host."""
        self.context = context
        self._server_name = server_name
        self._sessions: dict[tuple[str, int], ssl.SSLSession] = {}

    def __repr__(self) -> str:
        return f"<TLS towards {self._server_name or 'backends'}, {len(self._sessions)} sessions>"

    def wrap(self, sock: socket.socket, host: str, port: int) -> ssl.SSLSocket:
        """The TLS socket for a connection to the backend at `host` and `port`, which is yet to be made."""
        return self.context.wrap_socket(
            sock,
            server_hostname=self._server_name or host,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,
            session=self._sessions.get((host, port)),
        )

    def remember(self, tls: ssl.SSLSocket, host: str, port: int) -> None:
        """Offer this connection's session the next time. TLS 1.3 has one once something was received."""
        if tls.context is not self.context:  # refreshed meanwhile
            return
        session = tls.session
        if session is not None:
            self._sessions[host, port] = session


class _Loaded(NamedTuple):
    """What is made from the files as they were at one time; authorities: DER, one after the other."""

    context: ssl.SSLContext
    authorities: bytes
    expiries: tuple[Expiry, ...]


class BackendTls(BackendContext, Renewed[_Loaded]):
    """The TLS settings of a pool. The context is made anew when a file changes."""

    def __init__(
        self, ca: Path | None, *, verify: bool, server_name: str | None, own: tuple[Path, Path] | None = None
    ) -> None:
        """ca None: the system's authorities. own: the files of lbproxy's certificate and key, if it has any.

        Raises ValueError, which names the file, when one of them cannot be used.
        """
        self._ca = ca if verify else None
        self._verify = verify
        self._own = own
        files = [*(() if self._ca is None else (self._ca,)), *(own or ())]
        Renewed.__init__(self, files, own[0] if own is not None else self._ca)
        self._users: OrderedDict[Minted, BackendContext] = OrderedDict()  # the one used last at the end
        BackendContext.__init__(self, self._loaded.context, server_name)

    def minted(self, minted: Minted) -> BackendContext:
        """For a user's lanes: the same, but for the certificate that lbproxy shows."""
        found = self._users.get(minted)
        if found is None:
            context = self._context(self._loaded.authorities)
            with in_memory(minted.certificate_pem + minted.key_pem) as path:
                context.load_cert_chain(path)
            found = self._users[minted] = BackendContext(context, self._server_name)
            if len(self._users) > MAX_USERS:
                self._users.popitem(last=False)
        self._users.move_to_end(minted)
        return found

    def expiries(self) -> tuple[Expiry, ...]:
        """What is in use, and when it ends; nothing of the system's authorities."""
        return self._loaded.expiries

    def refresh(self) -> bool:
        """Look at the files; True when what they hold now is used from now on, by lanes that are opened."""
        if not super().refresh():
            return False
        self.context = self._loaded.context
        self._sessions.clear()
        self._users.clear()
        return True

    def _load(self) -> _Loaded:
        authorities, expiries = b"", []
        if self._ca is not None:
            certificates = read_authorities(self._ca, time.time())
            authorities = b"".join(each.public_bytes(serialization.Encoding.DER) for each in certificates)
            expiries += expiries_of("ca", self._ca, certificates)
        context = self._context(authorities)
        if self._own is not None:
            expiries += expiries_of("certificate", self._own[0], load_pair(context, *self._own))
        return _Loaded(context, authorities, tuple(expiries))

    def _context(self, authorities: bytes) -> ssl.SSLContext:
        """Without a certificate of its own."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # Set by Python 3.11.2 and others: an answer that is cut off would look complete (RFC 8446 section 6.1).
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        context.set_alpn_protocols(["http/1.1"])
        if not self._verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif authorities:
            context.load_verify_locations(cadata=authorities)
        else:
            context.load_default_certs()
        return context
