"""[admin.web]: the dashboard on a network, over TLS. A process of its own, which its generation starts and ends.

It is told its settings in one line on standard input, and ends with that. On standard output it says, a JSON object a
line, what is to be logged and who has signed in, so that a reload signs nobody out.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lbproxy.auth.channel_bindings import server_end_point
from lbproxy.dashboard.app import Dashboard, Ways
from lbproxy.dashboard.attempts import Attempts
from lbproxy.dashboard.balancer import Balancer
from lbproxy.dashboard.kerberos import Acceptor
from lbproxy.dashboard.passwords import Passwords
from lbproxy.dashboard.roles import role_of
from lbproxy.dashboard.server import Server
from lbproxy.dashboard.sessions import Sessions, SessionView
from lbproxy.dashboard.settings import WebSettings
from lbproxy.dashboard.sign_in import SignIn
from lbproxy.net.tls.certificates import covers
from lbproxy.net.tls.files import Expiry, Watch, expiries_of, load_pair, read_authorities

COOKIE = "__Host-lbproxy"
"""Browsers take it over TLS only, from this host itself, for all of its paths (RFC 6265bis, section 4.1.3)."""

_LOOK_EVERY = 1.0
"""Seconds between two looks at the files, as at those of listeners."""


class Tls(NamedTuple):
    """The context, the certificate that browsers see, and when what was read ends."""

    context: ssl.SSLContext
    leaf: x509.Certificate
    expiries: tuple[Expiry, ...]


class Web:
    """The dashboard of `settings`."""

    def __init__(self, settings: WebSettings, balancer: Balancer, sock: socket.socket) -> None:
        """Raises ValueError with a sentence that names a file, and MissingExtraError."""
        self._settings = settings
        self._tls = make_tls(settings)
        sessions = Sessions(time.time, settings.idle_timeout, settings.session_timeout)
        self._passwords = self._read_passwords()
        for view in settings.sessions:
            role = self._role(view["how"], view["user"])
            if role is not None and self._is_still_there(view):
                sessions.adopt(view, role, view["user"])
        sessions.changed = lambda: say({"sessions": sessions.export()})
        self.sessions = sessions
        if self._passwords is not None:
            self._passwords.changed = partial(sessions.end_of, "password")
        self.sign_in = self._make_sign_in(self._tls.leaf)
        ways = Ways(
            "https", "", COOKIE, partial(is_ours, self._tls.leaf), self.sign_in.elsewhere, self.sign_in.routes, True
        )
        self.dashboard = Dashboard(balancer, sessions, ways)
        self.server = Server(self.dashboard.app, sock, self._tls.context)
        self._watch = Watch(self._files())

    def _make_sign_in(self, leaf: x509.Certificate) -> SignIn:
        settings = self._settings
        acceptor = None
        if "kerberos" in settings.sign_in and settings.keytab is not None:
            binding = server_end_point(leaf.public_bytes(Encoding.DER))
            acceptor = Acceptor(Path(settings.keytab), binding, partial(covers, leaf))
        by_certificate = "certificate" in settings.sign_in
        return SignIn(acceptor, by_certificate, self._passwords, self._role, Attempts(time.monotonic), tell)

    def _read_passwords(self) -> Passwords | None:
        settings = self._settings
        if "password" not in settings.sign_in or settings.passwords is None:
            return None
        return Passwords(Path(settings.passwords))

    def _is_still_there(self, view: SessionView) -> bool:
        """A name that was removed from the file of passwords has no session any more."""
        return view["how"] != "password" or (self._passwords is not None and self._passwords.knows(view["user"]))

    def look_at_passwords(self) -> None:
        """End the sessions of those whose password is another one, or gone."""
        try:
            if self._passwords is not None:
                self._passwords.refresh()
        except ValueError as error:
            tell("passwords_refused", True, why=str(error))

    def _role(self, how: str, name: str) -> Any:
        settings = self._settings
        return role_of(how, name, settings.viewers, settings.operators) if how in settings.sign_in else None

    def _files(self) -> list[Path]:
        settings = self._settings
        return [Path(one) for one in (settings.certificate, settings.key, settings.client_ca, settings.keytab) if one]

    async def changed(self) -> None:
        """Return once other files are there, which can be used: the next process reads them."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            self.look_at_passwords()
            if self._watch.changed():
                try:
                    self._make_sign_in(make_tls(self._settings).leaf)
                except ValueError as error:
                    tell("dashboard_files_refused", True, why=str(error))
                    self.say_tls(str(error), time.time())
                else:
                    return

    def say_tls(self, why: str = "", since: float = 0.0) -> None:
        """What is in use, and when it ends; why: the files have changed, and cannot be used."""
        ends = [[one.kind, str(one.path), one.name, one.ends] for one in self._tls.expiries]
        say({"tls": {"expiries": ends, "refused": {"why": why, "since": since} if why else None}})


def make_tls(settings: WebSettings) -> Tls:
    """What the files hold now. Raises ValueError with a sentence that names the file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION
    chain = load_pair(context, Path(settings.certificate), Path(settings.key))
    expiries = expiries_of("certificate", Path(settings.certificate), chain)
    if "certificate" in settings.sign_in and settings.client_ca is not None:
        authorities = read_authorities(Path(settings.client_ca), time.time())
        context.load_verify_locations(cadata="".join(one.public_bytes(Encoding.PEM).decode() for one in authorities))
        context.verify_mode = ssl.CERT_OPTIONAL
        expiries += expiries_of("client_ca", Path(settings.client_ca), authorities)
    return Tls(context, chain[0], tuple(expiries))


def is_ours(leaf: x509.Certificate, authority: str) -> bool:
    """Whether a Host is one that the certificate is for; its port may be that of a gateway."""
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        host, port = authority, "443"
    allowed = all(one.isascii() and (one.isalnum() or one in ".-_:[]") for one in host)
    return bool(host) and allowed and port.isascii() and port.isdigit() and covers(leaf, host)


def say(message: dict[str, Any]) -> None:
    """To the generation."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def tell(name: str, warning: bool, **fields: object) -> None:
    """Have the generation log an event."""
    say(
        {"event": name, "warning": warning, "fields": {key: str(one) for key, one in fields.items() if one is not None}}
    )


async def serve(settings: WebSettings, sock: socket.socket, end: asyncio.StreamReader) -> None:
    """Until `end` has nothing more to read, or other files are there."""
    balancer = Balancer(settings.admin_bind)
    try:
        web = Web(settings, balancer, sock)
        await web.server.start()
        web.say_tls()
        say({"ready": True})
        waiting = [asyncio.ensure_future(one) for one in (end.read(), web.changed())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()
        await web.server.stop()
        web.look_at_passwords()
        say({"sessions": web.sessions.export()})
    finally:
        await balancer.close()


async def run(descriptor: int) -> None:
    """descriptor: of the listening socket. Raises what `Web` raises."""
    loop = asyncio.get_running_loop()
    end = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(end), sys.stdin)
    try:
        settings = WebSettings.decode(await end.readline())
        await serve(settings, socket.socket(fileno=descriptor), end)
    finally:
        transport.close()
