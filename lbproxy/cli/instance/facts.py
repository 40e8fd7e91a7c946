"""`lbproxy instance facts`: what the consistency guard compares."""

from __future__ import annotations

import asyncio
import ssl
from functools import partial
from pathlib import Path
from typing import Any

import click

from lbproxy.cli.console import say
from lbproxy.cli.instance.options import (
    FILE,
    dir_option,
    environment_option,
    keytab_option,
    kind_option,
    other_options,
    where,
)
from lbproxy.cli.options import read_by
from lbproxy.config import Address
from lbproxy.config.addresses import NOWHERE, address
from lbproxy.instance.facts import PATH, FactsServer, RenewedTls, TlsFiles, read_facts, serve


def _listen(text: str) -> Address:
    found = address(text, NOWHERE)
    if found.path is not None:
        raise ValueError(f"{text!r} is not host:port or [v6]:port")
    return found


@click.command("facts")
@kind_option
@dir_option
@environment_option
@keytab_option
@other_options
@click.option(
    "--listen", callback=read_by(_listen), metavar="HOST:PORT", help="Serve them there, as /facts, until TERM."
)
@click.option("--certificate", type=FILE, metavar="FILE", help="The certificate to serve them with, as PEM.")
@click.option("--key", type=FILE, metavar="FILE", help="Its key.")
@click.option("--client-ca", type=FILE, metavar="FILE", help="Who may ask: holders of a certificate of this authority.")
def command(
    kind: str,
    directory: Path,
    environment: Path | None,
    keytab: Path | None,
    listen: Address | None,
    certificate: Path | None,
    key: Path | None,
    client_ca: Path | None,
    **others: Any,
) -> None:
    """Print the facts of the instance in DIR as JSON; secrets are digests, from which they cannot be guessed.

    With --listen they are served to the consistency guard, and read from the files again each time. Other addresses
    than those of loopback need --certificate, --key and --client-ca, which are read again when they change.

    The exit status is 0, or 1 if the instance cannot be read or the address cannot be listened on.
    """
    read = partial(read_facts, kind, where(directory, environment, keytab, **others))
    if listen is None:
        click.echo(read().model_dump_json(indent=2))
        return
    tls = _tls(listen, certificate, key, client_ca)
    read()  # an instance that cannot be read is told now
    server = FactsServer(read, _say_error)
    said = f"facts of {directory.resolve()} at {'http' if tls is None else 'https'}://"

    def ready(host: str, port: int) -> None:
        say(f"{said}{Address(host, port)}{PATH}")

    asyncio.run(serve(server, listen.host, listen.port, tls, ready))


def _say_error(text: str) -> None:
    say(f"lbproxy: error: {text}", err=True)


def _tls(listen: Address, certificate: Path | None, key: Path | None, client_ca: Path | None) -> ssl.SSLContext | None:
    if certificate is not None and key is not None and client_ca is not None:
        return RenewedTls(TlsFiles(certificate, key, client_ca), _say_error).context
    if any((certificate, key, client_ca)):
        raise click.UsageError("--certificate, --key and --client-ca belong together")
    if not listen.is_local:
        raise click.UsageError(f"{listen} is no loopback address: give --certificate, --key and --client-ca")
    return None
