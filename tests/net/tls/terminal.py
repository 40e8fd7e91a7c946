"""Both ends of TLS: in this process, step by step, or a server in a thread for clients that are real programs."""

from __future__ import annotations

import os
import queue
import socket
import ssl
import struct
import subprocess
import threading
from abc import ABC, abstractmethod
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from lbproxy.auth.certificate import ClientCertificate
from lbproxy.net.tls import AcceptedTls, ClientPolicy, ClientRefused, ServerTls, refusal
from lbproxy.reasons import Reason
from tests.pki import Authority, Files, Holder

NAME = "login.corp.example"
PATIENCE = 60.0
"""Seconds after which a test that waits for a peer has failed."""

_AGE = iter(range(1, 1_000_000))


def replace(path: Path, content: bytes) -> Path:
    """Write a file whose age is unlike any before: the clocks of file systems are coarse."""
    path.write_bytes(content)
    age = next(_AGE)
    os.utime(path, (age, age))
    return path


class Server(AcceptedTls):
    """With the methods of Python's own object."""

    def do_handshake(self) -> None:
        self._sslobj.do_handshake()

    def send(self, data: bytes) -> None:
        self._sslobj.write(data)

    def recv(self, size: int) -> bytes:
        received: bytes = self._sslobj.read(size)
        return received

    def unwrap(self) -> None:
        self._sslobj.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Ends:
    """A connection of which both ends are here, to be closed by `with`."""

    def __init__(
        self,
        server: ssl.SSLContext,
        client: ssl.SSLContext,
        name: str | None = NAME,
        session: ssl.SSLSession | None = None,
    ) -> None:
        """Connect the two, and shake hands; raises what the first one raises that does not like the other."""
        with ExitStack() as stack:
            near, far = map(stack.enter_context, socket.socketpair())
            near.setblocking(False)
            far.setblocking(False)
            self.client = stack.enter_context(
                client.wrap_socket(near, server_hostname=name, do_handshake_on_connect=False, session=session)
            )
            self.server = stack.enter_context(Server(far.detach(), server))
            finish(self.client, self.server)
            self._stack = stack.pop_all()

    def exchange(self) -> ssl.SSLSession | None:
        """Send a byte to the client, which then has all session tickets too: its session."""
        self.server.send(b"x")
        assert self.client.recv(1) == b"x"
        return self.client.session

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Close in order: OpenSSL resumes no session of a connection that was broken off."""
        for end in (self.client, self.server):
            with suppress(OSError):
                end.unwrap()
        self._stack.close()


def finish(*sides: ssl.SSLSocket | Server) -> None:
    """Do the handshake of both sides, in turns."""
    waiting: list[ssl.SSLSocket | Server] = list(sides)
    while waiting:
        side = waiting.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(side)


def listener(*files: Files, minimum: str = "1.2", policy: ClientPolicy | None = None) -> ServerTls:
    """A listener's TLS with these certificates; the first is the default."""
    return ServerTls([(each.chain, each.key) for each in files], minimum, policy)


def browser(
    who: Holder | None = None, trusts: Authority | None = None, at: Path | None = None, **settings: Any
) -> ssl.SSLContext:
    """A client's context with the certificate of `who`, written into `at`; it believes anybody or `trusts`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trusts is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(cadata=trusts.chain[0])
    if who is not None:
        assert at is not None
        files = who.write(at, "browser")
        context.load_cert_chain(files.chain, files.key)
    for setting, value in settings.items():
        setattr(context, setting, value)
    return context


class Outcome(NamedTuple):
    """How a handshake with a real client ended: without a `reason`, well."""

    certificate: ClientCertificate | None = None
    name: str | None = None
    resumed: bool = False
    reason: Reason | None = None
    detail: str = ""


class InThread(ABC):
    """A server in a thread, on a free port of 127.0.0.1, for as long as `with` lasts."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    @abstractmethod
    def serve(self, sock: socket.socket) -> None:
        """Have a connection, and close it."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.serve(sock)


class Terminal(InThread):
    """It answers each client that passes `tls` with one HTTP response, and closes."""

    def __init__(self, tls: ServerTls) -> None:
        super().__init__()
        self.tls = tls
        self._outcomes: queue.Queue[Outcome] = queue.Queue()

    def outcome(self) -> Outcome:
        """How the next handshake ended."""
        return self._outcomes.get(timeout=PATIENCE)

    def serve(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", int(PATIENCE), 0))
        with Server(sock.detach(), self.tls.context) as tls:
            self._outcomes.put(self._meet(tls))

    def _meet(self, tls: Server) -> Outcome:
        try:
            tls.do_handshake()
            certificate = self.tls.verify(tls)
        except ClientRefused as refused:
            return Outcome(None, tls.requested_name, tls.session_reused, refused.reason, refused.detail)
        except OSError as error:
            reason, detail = refusal(error)
            return Outcome(reason=reason, detail=detail)
        met = Outcome(certificate, tls.requested_name, tls.session_reused)
        tls.recv(4096)
        tls.send(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        with suppress(OSError):  # the client did not wait for that
            tls.unwrap()
        return met


def s_client(port: int, *options: str | Path, who: Files | None = None) -> str:
    """What openssl's client says while it makes one request."""
    own: list[str | Path] = [] if who is None else ["-cert", who.chain, "-key", who.key, "-cert_chain", who.chain]
    command: list[str | Path] = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-ign_eof", *own, *options]
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    done = subprocess.run(command, input=request, capture_output=True, timeout=PATIENCE, check=False)
    return (done.stdout + done.stderr).decode(errors="replace")


def curl(port: int, ca: Path, *options: str | Path, who: Files | None = None) -> int:
    """curl's exit status for one request; it trusts the authorities in `ca`."""
    own: list[str | Path] = [] if who is None else ["--cert", who.chain, "--key", who.key]
    where = ["--resolve", f"{NAME}:{port}:127.0.0.1", f"https://{NAME}:{port}/"]
    command: list[str | Path] = ["curl", "--silent", "--noproxy", "*", "--cacert", ca, *own, *options, *where]
    return subprocess.run(command, timeout=PATIENCE, check=False, stdout=subprocess.DEVNULL).returncode
