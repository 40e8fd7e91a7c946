"""The identities that log in, and what each of them shows."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from cryptography import x509

from bench.errors import BenchError
from lbproxy.doctor.kerberos.keytab import read_keytab
from lbproxy.errors import MissingExtraError

if TYPE_CHECKING:
    from lbproxy.control.probes.kerberos.credentials import Ticket

_AT_ONCE = 8  # sign-ins at the KDC
_SERVICES = ("HTTP/", "host/", "cifs/", "krbtgt/")  # keys that a keytab may have beside those of users


@dataclass(frozen=True, slots=True)
class User:
    """Who logs in: `name` is a principal, a certificate's subject, or "" without credentials."""

    name: str
    context: ssl.SSLContext | None
    ticket: Ticket | None = None


def tls_context(authority: Path | None, insecure: bool) -> ssl.SSLContext:
    """What the server's certificate is checked with. Raises BenchError for a file that cannot be used."""
    try:
        context = ssl.create_default_context(cafile=authority)
    except OSError as error:
        raise BenchError(f"--ca {authority}: {error}") from None
    if insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def with_tickets(
    keytab: Path, principals: tuple[str, ...], spn: str, context: ssl.SSLContext | None, done: Callable[[str], None]
) -> list[User]:
    """A user for each of `principals`, all users of `keytab` unless given, with a ticket for `spn` (HTTP@HOST).

    `done` is called with the name of each who has one. Raises BenchError that names the principal and the reason.
    """
    try:
        from lbproxy.control.probes.kerberos.credentials import Login
        from lbproxy.control.probes.kerberos.failures import KerberosFailure
        from lbproxy.control.probes.kerberos.sign_in import SignIn
    except MissingExtraError as error:
        raise BenchError(str(error)) from None

    def fetch(principal: str) -> User:
        try:
            ticket = Login(SignIn(principal, keytab), spn).fetch()
        except KerberosFailure as failure:
            raise BenchError(f"{principal}: no ticket for {spn}: {failure}") from None
        done(principal)
        return User(principal, context, ticket)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            return list(pool.map(fetch, principals or _users_of(keytab)))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _users_of(keytab: Path) -> list[str]:
    """The principals of `keytab` that are no services."""
    try:
        found = dict.fromkeys(entry.principal for entry in read_keytab(keytab))
    except (OSError, ValueError) as error:
        raise BenchError(f"--keytab {keytab}: {error}") from None
    users = [name for name in found if not name.startswith(_SERVICES)]
    if not users:
        raise BenchError(f"--keytab {keytab} has keys of services only ({', '.join(found)}); --principal takes one")
    return users


def with_certificates(paths: tuple[Path, ...], key: Path | None, context: Callable[[], ssl.SSLContext]) -> list[User]:
    """A user for each file, which has a certificate in PEM, and its key unless `key` does; all of a directory."""
    return [_with_certificate(path, key, context()) for path in _files(paths)]


def _files(paths: tuple[Path, ...]) -> Iterator[Path]:
    for path in paths:
        found = sorted(path.glob("*.pem")) if path.is_dir() else [path]
        if not found:
            raise BenchError(f"--cert {path}: no file there ends in .pem")
        yield from found


def _with_certificate(path: Path, key: Path | None, context: ssl.SSLContext) -> User:
    try:
        context.load_cert_chain(path, key)
        subject = x509.load_pem_x509_certificates(path.read_bytes())[0].subject.rfc4514_string()
    except (OSError, ValueError) as error:
        raise BenchError(f"--cert {path}: {error}") from None
    return User(subject, context)


def check_time(users: list[User], seconds: float) -> None:
    """Say so when tickets end before a run of so many `seconds` does."""
    lasts = min(user.ticket.expires for user in users if user.ticket) - time.monotonic()
    if lasts < seconds:
        click.echo(f"the first ticket ends after {lasts:.0f} s: what comes later fails", err=True)
