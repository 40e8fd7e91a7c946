"""TLS towards the clients of a listener: its certificates, followed as their files change, and chosen by name."""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbproxy import files
from lbproxy.auth.certificate import ClientCertificate, alternative_names
from lbproxy.auth.library import hashes, x509
from lbproxy.net.tls.accepted import AcceptedTls, host_asked
from lbproxy.net.tls.clients import ClientPolicy, Clients, ShutOut
from lbproxy.net.tls.files import Expiry, expiries_of, load_pair
from lbproxy.net.tls.openssl import acknowledge_names, refuse_odd_names
from lbproxy.net.tls.renewed import Renewed
from lbproxy.net.tls.ticket_keys import SIZE, TicketKeys
from lbproxy.reasons import Reason

Pair = tuple[Path, Path]
"""The files of a certificate, with its chain, and of its key."""

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secrecy and AEAD only (RFC 9325 section 4.2). TLS 1.3 has no others."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """Everything that is made from the files as they were at one time. `clients` None: no certificates are asked for.

    `uri` is the first URI that the default certificate is for. `tickets` has the keys of session tickets, which are
    made of secrets and of what the sessions rest on; None: the context's own.
    """

    context: ssl.SSLContext
    tickets: TicketKeys | None
    rests_on: bytes
    clients: Clients | None
    uri: str | None
    expiries: tuple[Expiry, ...]


class ServerTls(Renewed[_Loaded]):
    """A listener's certificates and its policy for those of clients; all is made anew when a file changes.

    A session resumes under the same files only: the keys of its ticket are made from their content and a secret. So a
    session never resumes on another listener, which has another secret, nor under another certificate; but it does in
    another process or on another host that has the secret. The first of the secrets seals tickets, all of them open.
    Where certificates are asked for it does not, nor under another client_ca or client_crl: a ticket holds the client's
    certificate without its chain (`Chains`), so each context has keys of its own. Tickets, and not sessions kept here:
    one with a client's chain takes 11 KB, and Python cannot limit how many OpenSSL keeps.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        minimum_version: str,
        client: ClientPolicy | None = None,
        secrets: Sequence[bytes] = (),
    ) -> None:
        """The first of the pairs is for clients that ask for no name, or for one that none is for.

        Without secrets, or with a client policy, sessions resume only in the context that they began in. Raises
        ValueError, which names the file, when one of them cannot be used.
        """
        self._secrets = tuple(secrets)
        self._pairs = tuple(pairs)
        self._minimum = _VERSIONS[minimum_version]
        self._policy = client
        files = [path for pair in pairs for path in pair]
        self._files = files if client is None else [*files, client.ca, *client.crl]
        super().__init__(self._files, self._pairs[0][0])

    def __repr__(self) -> str:
        return f"<server TLS {self._pairs[0][0]}>"

    @property
    def context(self) -> ssl.SSLContext:
        """For a client that connects now. TLS 1.2 and 1.3, HTTP/1.1 only."""
        return self._loaded.context

    @property
    def uri(self) -> str | None:
        """The listener's own name in X-Forwarded-Client-Cert: the first URI that the default certificate is for."""
        return self._loaded.uri

    def accept(self, fd: int) -> AcceptedTls:
        """TLS on a client's connection, with the handshake to be done; it owns the descriptor."""
        return AcceptedTls(fd, self._loaded.context)

    def verify(self, tls: AcceptedTls) -> ClientCertificate | None:
        """Who the client is, after the handshake; None: it has shown no certificate. Raises ClientRefused."""
        clients = self._loaded.clients
        return None if clients is None else clients.identify(tls, time.time())

    def still_good(self, certificate: ClientCertificate, now: float) -> Reason | None:
        """Why a client that is connected has to go, if so: by the files as they are, at `now` (since the epoch)."""
        clients = self._loaded.clients
        verdict = None if clients is None else clients.verdict(certificate, now)
        return None if verdict is None else verdict[0]

    def shut_out(self, now: float) -> ShutOut | None:
        """Which clients are refused at `now` (since the epoch) for want of a revocation list, if any are."""
        clients = self._loaded.clients
        return None if clients is None else clients.shut_out(now)

    def expiries(self) -> tuple[Expiry, ...]:
        """What is in use, and when it ends."""
        return self._loaded.expiries

    def seal(self, secrets: Sequence[bytes]) -> None:
        """Seal session tickets with the first of `secrets` from now on, and open those of all of them."""
        self._secrets = tuple(secrets)
        if self._loaded.tickets is not None:
            self._loaded.tickets.set(_ticket_keys(self._secrets, self._loaded.rests_on))

    def _load(self) -> _Loaded:
        clients = None if self._policy is None else Clients(self._policy, time.time())
        contexts: list[ssl.SSLContext] = []
        leaves: list[x509.Certificate] = []
        expiries: list[Expiry] = []
        for certificate, key in self._pairs:
            context = self._context(clients)
            chain = load_pair(context, certificate, key)
            contexts.append(context)
            leaves.append(chain[0])
            expiries += expiries_of("certificate", certificate, chain)
        refuse_odd_names(contexts[0])
        if len(contexts) > 1 or not acknowledge_names(contexts[0]):
            contexts[0].sni_callback = _choice(_by_name(leaves, contexts))
        tickets, rests_on = None, self._rests_on()
        if self._secrets and clients is None:
            tickets = TicketKeys(_ticket_keys(self._secrets, rests_on))
            for context in contexts:  # a session belongs to the first one; a handshake may go on in another
                tickets.serve(context)
        uris = _alternatives(leaves[0], x509.UniformResourceIdentifier)
        if clients is not None:
            expiries += clients.expiries
        return _Loaded(contexts[0], tickets, rests_on, clients, next(iter(uris), None), tuple(expiries))

    def _rests_on(self) -> bytes:
        """A digest of what a session rests on: its ticket is good for as long as nothing of that changes."""
        found = hashlib.sha256(str(self._minimum).encode())
        for path in self._files:
            found.update(hashlib.sha256(files.read(path, files.REVOCATION_LIST)).digest())
        return found.digest()

    def _context(self, clients: Clients | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = self._minimum
        context.set_ciphers(_CIPHERS)
        # Rule 8: a user's identity may live on the connection, so requests of one never interleave.
        context.set_alpn_protocols(["http/1.1"])
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # which some versions of Python set
        # OpenSSL sends two by default, which doubles what an idle connection holds (bench/README.md).
        context.num_tickets = 1
        if clients is not None:
            clients.configure(context)
        return context


def _ticket_keys(secrets: Sequence[bytes], rests_on: bytes) -> list[bytes]:
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return [HKDF(hashes.SHA256(), SIZE, salt=None, info=rests_on).derive(secret) for secret in secrets]


def _by_name(
    leaves: Sequence[x509.Certificate], contexts: Sequence[ssl.SSLContext]
) -> dict[str, ssl.SSLContext | None]:
    """{DNS name in lower case, maybe with a wildcard: the context for it}; None: the default, as it is anyway.

    Of two certificates for one name the first is used.
    """
    found: dict[str, ssl.SSLContext | None] = {}
    for position, leaf in enumerate(leaves):
        for name in _alternatives(leaf, x509.DNSName):
            found.setdefault(name.lower(), contexts[position] if position else None)
    return found


def _choice(
    contexts: Mapping[str, ssl.SSLContext | None],
) -> Callable[[Any, str | None, ssl.SSLContext], None]:
    """OpenSSL calls it in each handshake, with the name as it came; a wildcard is one label (RFC 9525 section 6.3).

    A client that resumes a session of TLS 1.2 asks for the name that it asked for then.
    """

    def choose(tls: Any, name: str | None, _: ssl.SSLContext) -> None:  # an AcceptedTls, or its `_sslobj`
        if isinstance(tls, AcceptedTls):
            tls.heard = name
            tls = tls._sslobj
        host = host_asked(name)
        if host is None:
            return
        context = contexts[host] if host in contexts else contexts.get(f"*.{host.partition('.')[2]}")
        if context is not None:
            tls.context = context

    return choose


def _alternatives(leaf: x509.Certificate, kind: type[x509.DNSName] | type[x509.UniformResourceIdentifier]) -> list[str]:
    names = alternative_names(leaf)
    return [] if names is None else [name.value for name in names if isinstance(name, kind)]
