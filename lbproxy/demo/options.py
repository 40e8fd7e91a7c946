"""The sample connector's command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_MAX_HEADER = 128 * 1024  # bytes; a Kerberos ticket with many groups takes 64 KB in one header line


@dataclass(frozen=True, slots=True)
class Options:
    """How one instance behaves; the help texts below say what each option means."""

    name: str
    host: str
    port: int
    keytab: Path | None
    spn_host: str | None
    binds: bool
    offer_ntlm: bool
    tls_cert: Path | None
    tls_key: Path | None
    client_ca: Path | None
    version: str
    connector_id: str
    server_url: str | None
    journal: Path | None
    work_ms: float
    max_header: int


def parse_options(arguments: Sequence[str] | None = None) -> Options:
    """Options from a command line without the program's name; ends the process with a message when it is wrong."""
    return Options(**vars(_parser().parse_args(arguments)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lbproxy.demo.connector", description="A sample connector.")
    add = parser.add_argument
    add("--name", required=True, help="the instance's name in its answers and its journal")
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=0, help="0 (the default) is any free port")
    add("--keytab", type=Path, help="require Kerberos, with the keys in this file")
    add("--spn-host", help="accept tickets for HTTP/SPN_HOST only")
    add("--binds", action="store_true", help="keep the user on the TCP connection after authentication")
    add("--offer-ntlm", action="store_true", help="a second WWW-Authenticate line, as Windows sends it")
    add("--tls-cert", type=Path)
    add("--tls-key", type=Path)
    add("--client-ca", type=Path, help="believe client certificates of this CA")
    add("--version", default="1.7.0", help="for /healthz; it is not the version of lbproxy")
    add("--connector-id", default="demo")
    add("--server-url", help="the address that users know; default: the instance's own")
    add("--journal", type=Path, help="append one JSON line for each request")
    add("--work-ms", type=float, default=0.0, help="milliseconds that each answer takes")
    add("--max-header", type=int, default=_MAX_HEADER, help="bytes in one header line")
    return parser
