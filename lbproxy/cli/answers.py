"""The options that a configuration can be made of: those of `lbproxy run --listen` and of `lbproxy init`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, TypeVar, get_args

import click

from lbproxy.cli.options import local_address, read_by
from lbproxy.config import Address
from lbproxy.config.addresses import origin
from lbproxy.draft.draft import Draft, Kerberos, Kind


class Answers(TypedDict):
    """What the options gave; None is what was not said."""

    listen: Address | None
    backends: tuple[str, ...]
    server_url: str | None
    certificate: Path | None
    key: Path | None
    self_signed: bool
    check: Kind | None
    check_path: str | None
    principal: str | None
    keytab: Path | None
    spn: str | None
    admin: Address | None


def backend_url(text: str) -> str:
    """The URL of a backend; raises ValueError."""
    return origin(text, ("http", "https", "tcp"))


def server_url(text: str) -> str:
    """The address that users know; raises ValueError."""
    return origin(text, ("http", "https"))


_Function = TypeVar("_Function", bound=Callable[..., Any])

_FILE = click.Path(path_type=Path, dir_okay=False, resolve_path=True)

_OPTIONS = (
    click.option("--listen", metavar="ADDRESS", callback=read_by(local_address), help="HOST:PORT for users' browsers."),
    click.option(
        "--to",
        "backends",
        metavar="URL",
        multiple=True,
        callback=read_by(backend_url),
        help="A backend, http://HOST:PORT or https://; tcp:// passes connections through. One --to for each.",
    ),
    click.option(
        "--server-url",
        metavar="URL",
        callback=read_by(server_url),
        help="The address that users and the identity provider know; only its host is served. Without it, every Host.",
    ),
    click.option("--certificate", type=_FILE, metavar="PEM", help="Serve TLS with this chain, and --key."),
    click.option("--key", type=_FILE, metavar="PEM", help="The key of --certificate."),
    click.option("--self-signed", is_flag=True, help="Serve TLS with a certificate made for trials."),
    click.option("--check", type=click.Choice(get_args(Kind)), help="How backends are probed.  [default: tcp]"),
    click.option(
        "--check-path", metavar="PATH", help="The page that probes ask for, with http and kerberos.  [default: /]"
    ),
    click.option("--principal", metavar="NAME@REALM", help="With --check kerberos: the account that signs in."),
    click.option("--keytab", type=_FILE, metavar="FILE", help="With --check kerberos: its key."),
    click.option(
        "--spn", metavar="SERVICE@HOST", help="With --check kerberos.  [default: HTTP@ and the server's host]"
    ),
    click.option("--admin", metavar="ADDRESS", callback=read_by(local_address), help="Where commands reach it."),
)


def answer_options(function: _Function) -> _Function:
    """Give a command the options of Answers."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def draft(answers: Answers, home: Callable[[], Path]) -> Draft:
    """The configuration that the options amount to; `home` is where --self-signed keeps what it makes.

    Raises click.UsageError for options that are missing or exclude each other.
    """
    listen, backends = answers["listen"], answers["backends"]
    if listen is None or not backends:
        raise click.UsageError("--listen and --to belong together; --to names a backend, and there may be several")
    pair = answers["certificate"], answers["key"]
    if (pair[0] is None) != (pair[1] is None):
        raise click.UsageError("--certificate and --key belong together")
    if answers["self_signed"]:
        if pair[0] is not None:
            raise click.UsageError("--self-signed and --certificate exclude each other")
        pair = Path("certificate"), Path("key")  # until it is known that one is needed
    made = _made(answers, listen, pair)
    if made.passes_through and made.certificate is not None:
        raise click.UsageError("with tcp:// the backends end TLS, and lbproxy needs no certificate")
    return _for_trials(made, home()) if answers["self_signed"] else made


def _for_trials(made: Draft, home: Path) -> Draft:
    """With a certificate; it is said what clients have to believe. Raises StartError."""
    from lbproxy.draft import trial_files

    files = trial_files.make(home / "trial", made.host.strip("[]"))
    click.echo(f"lbproxy: for trials only; clients have to believe {files.authority}", err=True)
    return replace(made, certificate=files.certificate, key=files.key)


def _made(answers: Answers, listen: Address, pair: tuple[Path | None, Path | None]) -> Draft:
    made = Draft(
        listen=listen,
        backends=answers["backends"],
        server_url=answers["server_url"] or "",
        certificate=pair[0],
        key=pair[1],
        check=answers["check"] or "tcp",
        path=answers["check_path"] or "/",
        kerberos=None,
        admin=answers["admin"],
    )
    return made if made.check != "kerberos" else _signing_in(answers, made)


def _signing_in(answers: Answers, made: Draft) -> Draft:
    principal, keytab = answers["principal"], answers["keytab"]
    if principal is None or keytab is None:
        raise click.UsageError("--check kerberos needs --principal and --keytab, the account that signs in and its key")
    return replace(made, kerberos=Kerberos(principal, keytab, answers["spn"] or f"HTTP@{made.host}"))
