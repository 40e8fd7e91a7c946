"""`lbproxy instance diff`: where two instances differ."""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from lbproxy import files
from lbproxy.cli.console import say
from lbproxy.cli.instance.options import (
    FILE,
    identity_option,
    kind_option,
    opener,
    other_options,
    passphrase_option,
    where,
)
from lbproxy.errors import InstanceError, LbproxyError
from lbproxy.instance.difference import Comparison, compare
from lbproxy.instance.operand import Reader


@click.command("diff")
@kind_option
@other_options
@click.option(
    "--environment", "environments", type=FILE, multiple=True, metavar="FILE",
    help="The variables of the directories, in their order; given once for each, or not at all.",
)  # fmt: skip
@passphrase_option
@identity_option
@click.option("--ca", type=FILE, metavar="FILE", help="The authority of an https:// URL.")
@click.option("--certificate", type=FILE, metavar="FILE", help="What is shown at an https:// URL, with its key.")
@click.option("--json", "as_json", is_flag=True, help="Print it as one JSON object.")
@click.argument("first")
@click.argument("second")
def command(
    kind: str,
    environments: Sequence[Path],
    passphrase_file: Path | None,
    identity: Path | None,
    ca: Path | None,
    certificate: Path | None,
    as_json: bool,
    first: str,
    second: str,
    **others: Any,
) -> None:
    """Say in what two instances differ, and what users notice of it. PORT is never compared.

    FIRST and SECOND are directories, packs, or the facts of another host: a file, or the URL of `lbproxy instance
    facts --listen`. A pack is opened if --passphrase-file or --identity is given; otherwise its digests are compared.

    The exit status is 0 if they are alike, 1 if they differ or something cannot be compared, 2 if they cannot be read.
    """
    directories = [one for one in (first, second) if Path(one).is_dir()]
    if environments and len(environments) != len(directories):
        raise click.UsageError("give --environment once for each directory")
    given = dict(zip(directories, environments, strict=False))
    try:
        sealed = passphrase_file is not None or identity is not None
        key = opener(passphrase_file, identity) if sealed else None
        reader = Reader(kind, where(Path(), **others), key, _tls(ca, certificate))
        found = compare(*(reader.read(one, given.get(one)) for one in (first, second)))
    except LbproxyError as error:
        for line in str(error).splitlines():
            say(f"lbproxy: error: {line}", err=True)
        sys.exit(2)
    if as_json:
        click.echo(json.dumps(_as_json(first, second, found), indent=2))
    else:
        _print(first, second, found)
    sys.exit(0 if found.same else 1)


def _tls(ca: Path | None, certificate: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context()
        if ca is not None:
            context = ssl.create_default_context(cadata=files.read(ca).decode("ascii"))
        if certificate is not None:
            files.check(certificate)
            context.load_cert_chain(certificate, password="")
    except (OSError, ValueError) as error:
        raise InstanceError(f"{ca or certificate}: cannot be used for TLS: {error}") from None
    return context


def _as_json(first: str, second: str, found: Comparison) -> dict[str, Any]:
    return {
        "same": found.same,
        "first": first,
        "second": second,
        "differences": [
            {
                "fact": one.aspect,
                "parts": list(one.parts),
                "first": one.left,
                "second": one.right,
                "effect": one.effect,
            }
            for one in found.findings
        ],
        "unknown": dict(found.unknown),
    }


def _print(first: str, second: str, found: Comparison) -> None:
    for one in found.findings:
        parts = ", ".join(one.parts)
        what = one.aspect if parts == one.aspect else f"{one.aspect} ({parts})"
        seen = f": {one.left} at {first}, {one.right} at {second}" if one.left or one.right else ""
        say(f"{what} differs{seen}")
        say(f"    {one.effect}")
    for aspect, why in found.unknown.items():
        say(f"{aspect} is not compared: {why}")
    if found.same:
        say(f"{first} and {second} are alike")
