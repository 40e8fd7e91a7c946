"""`lbproxy doctor`: what is wrong between users and connectors, and what repairs it."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from lbproxy import config as settings
from lbproxy.cli import config_option
from lbproxy.cli.console import output, plain, progress
from lbproxy.cli.instance.options import FILE, environment_option, other_options, where
from lbproxy.cli.options import admin_option, read_by
from lbproxy.config import Address
from lbproxy.config.addresses import NOWHERE, address
from lbproxy.doctor.balancer import balancer_checks
from lbproxy.doctor.balancer.sight import Asked as AskedOfBalancer
from lbproxy.doctor.connector import connector_checks
from lbproxy.doctor.connector.sight import Asked as AskedOfConnector
from lbproxy.doctor.elsewhere import elsewhere_checks
from lbproxy.doctor.examination import Result, examine
from lbproxy.doctor.finding import Check, Outcome, problem
from lbproxy.doctor.summary import as_json, counts, exit_status
from lbproxy.errors import ConfigError
from lbproxy.instance.kinds import KINDS

_STYLES = {Outcome.OK: "green", Outcome.WARNING: "yellow", Outcome.PROBLEM: "bold red", Outcome.UNSEEN: "dim"}


def _nameserver(text: str) -> tuple[str, int]:
    found = address(text if re.search(r"[^:]:[0-9]+$|]:", text) else f"{text}:53", NOWHERE)
    return found.host, found.port


@click.command("doctor")
@config_option
@admin_option
@click.option("--keytab", "keytabs", type=FILE, multiple=True, metavar="FILE", help="The connectors' keytab.")
@click.option("--ldap", default="", metavar="URL", help="The directory, as in ldap://dc1.corp.example; else by DNS.")
@click.option(
    "--nameserver", "nameservers", callback=read_by(_nameserver), multiple=True, metavar="HOST[:PORT]",
    help="Ask there, as users do, instead of this host's servers.",
)  # fmt: skip
@click.option("--instance", "kind", type=click.Choice(list(KINDS)), help="Look at a connector on this host.")
@click.option(
    "--dir", "directory", type=FILE, default=Path(), metavar="DIR",
    help="With --instance: the directory that it is installed in; the working directory by default.",
)  # fmt: skip
@environment_option
@other_options
@click.option(
    "--from-elsewhere", "past", multiple=True, metavar="URL",
    help="On a host that is no balancer's: see that this backend cannot be reached from here.",
)  # fmt: skip
@click.option(
    "--server-url", default="", metavar="URL",
    help="With --instance or --from-elsewhere: the balancer's; else that of FILE.",
)  # fmt: skip
@click.option("--unit", type=FILE, metavar="FILE", help="With --instance: the systemd unit of its service.")
@click.option(
    "--beside", default="", metavar="OTHER",
    help="With --instance: a directory, a pack, or facts (a file or URL) of another instance, to compare.",
)  # fmt: skip
@click.option("--json", "as_object", is_flag=True, help="Print everything as one JSON object.")
def command(
    path: Path,
    admin: Address | None,
    keytabs: Sequence[Path],
    ldap: str,
    nameservers: tuple[tuple[str, int], ...],
    kind: str | None,
    directory: Path,
    environment: Path | None,
    past: Sequence[str],
    server_url: str,
    unit: Path | None,
    beside: str,
    as_object: bool,
    **others: Any,
) -> None:
    """Look for what is wrong between users and connectors: what was found, why it matters, what repairs it.

    On a balancer's host it looks at the configuration in FILE and the running balancer; with --instance, at a connector
    on this host; with --from-elsewhere, at what can be reached from a third host. It changes nothing, and takes less
    than 10 s. A sign-in is tried once, with the probe's account.

    The exit status is 0 if all is well, 1 if there is a problem, 2 if there are warnings only. What could not be seen
    changes nothing of it.
    """
    if past:
        _alone(kind=kind, unit=unit, beside=beside, keytab=keytabs)
        checks = elsewhere_checks(past, server_url or _server_url(path))
    elif kind is None:
        _alone(server_url=server_url, unit=unit, beside=beside)
        checks = _of_balancer(path, admin, tuple(keytabs), ldap, nameservers)
    else:
        if len(keytabs) > 1:
            raise click.UsageError("with --instance there is one --keytab")
        place = where(directory, environment, keytabs[0] if keytabs else None, **others)
        checks = connector_checks(AskedOfConnector(kind, place, server_url or _server_url(path), unit, beside))
    _tell(checks, as_object)


def _alone(**given: Any) -> None:
    """Refuse options that say nothing here."""
    names = [f"--{'instance' if name == 'kind' else name.replace('_', '-')}" for name, value in given.items() if value]
    if names:
        raise click.UsageError(f"{' and '.join(names)}: does not go with what is looked at; see --help")


def _tell(checks: Sequence[Check], as_object: bool) -> None:
    """Run them, and end with their exit status."""
    began = time.perf_counter()
    results = _examine(checks)
    took = time.perf_counter() - began
    if as_object:
        click.echo(json.dumps(as_json(results, took), indent=2))
    else:
        _print(results, took)
    sys.exit(exit_status(results))


def _of_balancer(path: Path, admin: Address | None, *given: Any) -> list[Check]:
    """given: the last arguments of `AskedOfBalancer`."""
    try:
        config = settings.load(path)
    except ConfigError as error:
        return [_unusable(error)]
    bind = admin or config.admin.bind
    return balancer_checks(AskedOfBalancer(config, path, bind.path or (bind.host, bind.port), *given))


def _unusable(error: ConfigError) -> Check:
    found = [
        problem(
            one.text,
            repair=f"lbproxy check -c {error.path}",
            subject=f"{one.where}, line {one.line}" if one.line else one.where,
        )
        for one in error.problems
    ]
    return Check("configuration", "balancer", "Without it nothing else can be looked at.", lambda: found)


def _server_url(path: Path) -> str:
    """That of a configuration on this host; "" if there is none that can be used."""
    with suppress(ConfigError):
        return settings.load(path).server_url
    return ""


def _examine(checks: Sequence[Check]) -> list[Result]:
    """With a bar on a terminal, which is gone at the end."""
    console = progress()
    columns = (TextColumn("{task.completed}/{task.total} checks"), BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=len(checks))
        return examine(checks, lambda result: bar.update(task, advance=1, description=result.check.name))


def _print(results: Sequence[Result], took: float) -> None:
    console = output(literal=True)
    table = Table()
    for heading in ("check", "outcome", "what was found", "why it matters", "what repairs it"):
        table.add_column(heading, overflow="fold")
    area = ""
    for result in results:
        if result.check.area != area:
            area = result.check.area
            table.add_section()
        for finding in result.findings:
            what = f"{finding.subject}: {finding.found}" if finding.subject else finding.found
            outcome = plain(finding.outcome)
            outcome.stylize(_STYLES[finding.outcome])
            table.add_row(plain(result.check.name), outcome, plain(what), plain(finding.why), plain(finding.repair))
    console.print(table)
    found = counts(results)
    told = ", ".join(f"{found[outcome]} {outcome}" for outcome in Outcome if found[outcome])
    console.print(f"{told}; {len(results)} checks in {took:.1f} s")
