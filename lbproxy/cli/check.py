"""`lbproxy check`: is this configuration fit to run?"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from lbproxy.cli import config_option
from lbproxy.cli.console import output
from lbproxy.config import Config, ListenerTls, load
from lbproxy.control.discovery.discovery import SHOWN
from lbproxy.errors import ConfigError, Problem, StartError
from lbproxy.preflight import Expiry, Report, inspect
from lbproxy.preflight.only_root import warn_of_root_only
from lbproxy.preflight.unit_file import unit_account
from lbproxy.process.generation.another_account import inspect_as
from lbproxy.process.generation.privileges import Account, account_of, assume, can_assume
from lbproxy.runtime import certificate_demand, check_path
from lbproxy.runtime.channel_binding_check import Finding, Key, judge
from lbproxy.runtime.source_trial import SourceTrial, try_etcd, try_sources
from lbproxy.runtime.trial import Trial, try_backends


@click.command("check")
@config_option
@click.option(
    "--connect",
    is_flag=True,
    help="Also ask each source of backends and etcd; resolve, connect to and probe each backend of the file once; and"
    " compare certificates for extended protection.",
)
@click.option("--user", metavar="NAME", help="Open the files as this user, with its groups; needs root.")
@click.option(
    "--unit",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Open them as the User=, Group= and SupplementaryGroups= of this systemd unit and its drop-ins.",
)
def command(path: Path, connect: bool, user: str | None, unit: Path | None) -> None:
    """Validate a configuration and open every certificate, key, revocation list and directory it names.

    Run by root, it opens them as the user that the configuration names, as lbproxy will. A service that is started as
    another user than root needs --user or --unit: then the file itself and all that it names is opened as that user.

    Every problem is printed as FILE:LINE: KEY: TEXT on standard error, and the exit status is 1. Warnings are printed
    in the same way and leave it 0. Nothing is started or changed, and without --connect no server is asked anything.
    """
    try:
        config = load(path)
        report = _inspect(path, config, *_account(user, unit))
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    _print_findings(path, config, report)
    if report.problems or report.tolerated:
        sys.exit(1)
    _print_summary(path, config, report)
    if not connect and (keys := check_path.defaulted(config)):
        click.echo(f'{", ".join(keys)}: "/" is the default, and not every service has it; --connect asks the backends')
    if connect:
        for warning in config.located(_try_backends(config)):
            click.echo(warning.in_file(str(path), "warning: "), err=True)


def _account(user: str | None, unit: Path | None) -> tuple[Account | None, tuple[Path, ...]]:
    """The account to look as, and directories that are made at the start.

    None: the account of the configuration, or this process's own.
    """
    if user is not None and unit is not None:
        raise click.UsageError("--user and --unit exclude each other")
    try:
        if user is not None:
            return account_of(user), ()
        if unit is not None:
            found = unit_account(unit)
            return account_of(found.user or "root", found.group, found.supplementary), found.directories
    except StartError as error:
        raise click.UsageError(str(error)) from None
    return None, ()


def _inspect(path: Path, config: Config, account: Account | None, made_at_start: tuple[Path, ...]) -> Report:
    now = datetime.now(UTC)
    if account is not None:
        return inspect_as(account, path, now, made_at_start)
    report = inspect(config, now, partial(_look_as_user, config))
    if os.geteuid() == 0 and config.user is None:
        warn_of_root_only(report, path, config)
    return report


def _look_as_user(config: Config, report: Report) -> None:
    """Files are to be opened as the generation will open them, by the same rights."""
    if can_assume(config):
        assume(config, report)
    else:
        report.warning("user", f"only root can tell whether {config.user!r} may open what the other keys name")


def _print_findings(path: Path, config: Config, report: Report) -> None:
    for problem in config.located((*report.problems, *report.tolerated)):
        click.echo(problem.in_file(str(path)), err=True)
    for warning in config.located(report.warnings):
        click.echo(warning.in_file(str(path), "warning: "), err=True)


def _print_summary(path: Path, config: Config, report: Report) -> None:
    # No markup: a name or an address of the file, such as [::1]:443, is not an instruction to rich.
    console = output(literal=True)
    console.print(f"{path} is fit to run; it serves {config.server_url}", soft_wrap=True)
    console.print(_listeners(config))
    console.print(_pools(config))
    if report.expiries:
        console.print(_expiries(report.expiries))


def _table(*headings: str) -> Table:
    table = Table()
    for heading in headings:
        table.add_column(heading, overflow="fold")  # in a narrow terminal, nothing of an address may be missing
    return table


def _listeners(config: Config) -> Table:
    table = _table("listener", "bind", "mode", "tls", "users' certificates", "pool", "hosts")
    for name, listener in config.listeners.items():
        tls = f"{listener.tls.minimum_version}+" if listener.tls else "no"
        pools, hosts = " ".join(listener.pools), " ".join(listener.sni or listener.hosts)
        table.add_row(name, str(listener.bind), listener.mode, tls, _users(listener.tls), pools, hosts)
    return table


def _users(tls: ListenerTls | None) -> str:
    """Whether users are asked for a certificate, and how backends are told of it."""
    if tls is None or not tls.asks_clients:
        return "no"
    return f"{tls.client_certificate}, {tls.client_identity}"


def _pools(config: Config) -> Table:
    table = _table("pool", "backend", "url", "check")
    for name, pool in config.pools.items():
        for backend in pool.backends:
            kind = pool.probe_kind(backend)
            check = f"{pool.check.method} {pool.probe_url(backend)}" if kind == "http" else kind
            table.add_row(name, backend.name, backend.url, check)
    return table


def _expiries(expiries: Iterable[Expiry]) -> Table:
    table = _table("key", "what", "expires", "days left")
    for found in expiries:
        table.add_row(found.where, found.what, f"{found.expires:%Y-%m-%d}", str(found.left.days))
    return table


def _try_backends(config: Config) -> list[Problem]:
    """Print what was found; what to warn of is returned."""

    async def try_all() -> tuple[dict[Key, Trial], dict[Key, Finding], list[Problem]]:
        trials = await try_backends(config)
        warnings = [*await check_path.find(config, trials), *await certificate_demand.find(config)]
        return trials, await judge(config), warnings

    console = output(literal=True)
    _try_sources(config, console)
    trials, findings, warnings = asyncio.run(try_all())
    if trials:
        console.print(_trials(trials))
    if findings:  # there are none without https backends
        console.print(_protection(findings))
    return warnings


def _try_sources(config: Config, console: Console) -> None:
    """Print what etcd and the sources of backends answer, where there are any."""
    if config.fleet is not None:
        endpoints = _table("etcd", "answers")
        for endpoint, problem in asyncio.run(try_etcd(config.fleet)).items():
            endpoints.add_row(endpoint, problem or "yes")
        console.print(endpoints)
    if sources := asyncio.run(try_sources(config)):
        console.print(_sources(sources))


def _sources(trials: Mapping[Key, SourceTrial]) -> Table:
    table = _table("pool", "source", "where", "backends", "problems")
    for (pool, source), trial in trials.items():
        more = len(trial.problems) - SHOWN
        problems = [*trial.problems[:SHOWN], *([f"and {more} more"] if more > 0 else [])]
        members = "unknown" if trial.members is None else str(trial.members)
        table.add_row(pool, source, trial.where, members, "; ".join(problems))
    return table


def _trials(trials: Mapping[Key, Trial]) -> Table:
    table = _table("pool", "backend", "addresses", "connection", "probe")
    for (pool, backend), trial in trials.items():
        probe = "none" if trial.probe is None else f"{'ok' if trial.probe.ok else 'failed'}: {trial.probe.detail}"
        table.add_row(pool, backend, " ".join(trial.addresses) or "none", trial.connect.detail, probe)
    return table


def _protection(findings: Mapping[Key, Finding]) -> Table:
    table = _table("pool", "backend", "extended protection", "because")
    for (pool, backend), finding in findings.items():
        table.add_row(pool, backend, finding.label, finding.text)
    return table
