"""`python -m bench.load --url URL`."""

from __future__ import annotations

import asyncio
import shlex
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from yarl import URL

from bench.console import show
from bench.logins.figures import Figures, figures, slices, step_waits
from bench.logins.login import Plan, Reader
from bench.logins.options import PlaceOption, ReaderOption, StatusesOption, UrlOption
from bench.logins.page import html
from bench.logins.report import as_json, heading, tables
from bench.logins.run import Crowd, Load, Run
from bench.logins.users import User, check_time, tls_context, with_certificates, with_tickets

_FILE = click.Path(exists=True, path_type=Path)
_NEW = click.Path(dir_okay=False, path_type=Path)
_TICK = 0.5  # seconds between two lines of progress
_PER_SECOND = "Logins due a second, whether or not earlier ones have ended."
_WHERE = "Where an answer names its connector: header:NAME, json:KEY, regex:EXPRESSION."
_WHOSE = "Where an answer names its user, in the same way: it has to be the one that asked."


@dataclass(frozen=True, slots=True)
class _Options:
    """What was asked for, by the names of the options."""

    url: URL
    keytab: Path | None
    principals: tuple[str, ...]
    spn: str | None
    certs: tuple[Path, ...]
    key: Path | None
    ca: Path | None
    insecure: bool
    connect: tuple[str, int | None] | None
    users: int
    seconds: float
    rate: float
    pause: float
    requests: int
    expect: frozenset[int]
    timeout: float
    instance: Reader | None
    identity: Reader | None
    page: Path | None
    figures: Path | None

    def plan(self) -> Plan:
        place = (self.connect[0], self.connect[1] or self.url.port or 443) if self.connect else None
        return Plan(self.url, self.expect, self.requests, self.timeout, place, self.instance, self.identity)

    def load(self) -> Load:
        return Load(self.users, self.seconds, self.rate, self.pause)


@click.command()
@click.option("--url", type=UrlOption(), required=True, help="Where users sign in, under the name that they know.")
@click.option("--keytab", type=_FILE, help="Keys of users: each signs in by a Kerberos ticket (SPNEGO).")
@click.option("--principal", "principals", multiple=True, help="One of the keytab; all users in it unless given.")
@click.option("--spn", help="Of the service; HTTP@HOST of the URL unless given.")
@click.option("--cert", "certs", type=_FILE, multiple=True, help="A user's certificate, or a directory of them: PEM.")
@click.option("--key", type=_FILE, help="The key of --cert, if it is not in the same file.")
@click.option("--ca", type=_FILE, help="Authorities that the server's certificate may be of: PEM.")
@click.option("--insecure", is_flag=True, help="Take any server's certificate.")
@click.option("--connect", type=PlaceOption(), help="Connect to this address, in the place of the URL's.")
@click.option("--users", type=click.IntRange(1, 10_000), default=10, show_default=True, help="Logins at once.")
@click.option("--seconds", type=click.FloatRange(1), default=30, show_default=True, help="For which logins begin.")
@click.option("--rate", type=click.FloatRange(0), default=0, help=_PER_SECOND)
@click.option("--pause", type=click.FloatRange(0), default=0, help="Seconds between two logins of a user.")
@click.option("--requests", type=click.IntRange(0), default=2, show_default=True, help="After each sign-in.")
@click.option("--expect", type=StatusesOption(), default="2xx,3xx", show_default=True, help="Statuses of success.")
@click.option("--timeout", type=click.FloatRange(0.1), default=10, show_default=True, help="Seconds for a login.")
@click.option("--instance", type=ReaderOption(), help=_WHERE)
@click.option("--identity", type=ReaderOption(), help=_WHOSE)
@click.option("--html", "page", type=_NEW, help="Write the report, with pictures, into one file.")
@click.option("--json", "figures", type=_NEW, help="Write the figures.")
def logins(**options: Any) -> None:
    """Log in at URL, many users at once, and report how long they wait, who answers, and what fails.

    A login is a new connection, the answer 401, a ticket, the answer to it, and some requests more. With --cert the
    connection's certificate is in the place of the ticket. Without --rate each user logs in again when the last login
    has ended: a server that stalls is asked less then, and looks better than it is.

    The exit status is 1 when a login failed. Ctrl-C ends the run, and the report is of what there is.
    """
    chosen = _Options(**options)
    if chosen.keytab and chosen.certs:
        raise click.UsageError("--keytab and --cert: a user has one of them")
    people = _people(chosen)
    run = asyncio.run(_watched(Crowd(people, chosen.plan(), chosen.load())))
    result, what = figures(run), f"{chosen.url}: {_who(people)}, {chosen.users} at once"
    show(heading(result, what), *tables(result))
    _save(chosen, run, result, what)
    raise SystemExit(bool(result.failed or not result.logins))


def _people(options: _Options) -> list[User]:
    """Raises BenchError."""

    def context() -> Any:
        return tls_context(options.ca, options.insecure)

    if options.certs:
        return with_certificates(options.certs, options.key, context)
    shared = context() if options.url.scheme == "https" else None
    if options.keytab is None:
        return [User("", shared)]
    spn = options.spn or f"HTTP@{options.url.host}"
    with Console(stderr=True).status("tickets") as status:
        done: list[str] = []

        def fetched(principal: str) -> None:
            done.append(principal)
            status.update(f"tickets: {len(done)}, {principal}")

        people = with_tickets(options.keytab, options.principals, spn, shared, fetched)
    check_time(people, options.seconds)
    return people


def _who(people: list[User]) -> str:
    if people[0].ticket:
        return f"{len(people)} principals with tickets"
    return f"{len(people)} certificates" if people[0].name else "no credentials"


async def _watched(crowd: Crowd) -> Run:
    """The run, with a line of progress; Ctrl-C ends it in good order."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, crowd.stop)
    running = asyncio.ensure_future(crowd.go())
    with Live(console=Console(stderr=True), transient=True, auto_refresh=False) as live:
        while not running.done():
            live.update(_progress(crowd), refresh=True)
            await asyncio.wait({running}, timeout=_TICK)
    return await running


def _progress(crowd: Crowd) -> str:
    done = crowd.run.logins
    failed = sum(bool(login.failure) for login in done)
    waits = step_waits([login for login in done[-1000:] if not login.failure], "login")
    per_second = len(done) / max(crowd.seconds, 0.1)
    line = f"{crowd.seconds:.0f} s: {len(done)} logins, {per_second:.0f}/s"
    return f"{line}, p50 {waits.p50 * 1000:.0f} ms, p99 {waits.p99 * 1000:.0f} ms, {failed} failed"


def _save(options: _Options, run: Run, result: Figures, what: str) -> None:
    if options.page:
        options.page.write_text(html(result, slices(run), what))
    if options.figures:
        options.figures.write_text(as_json(result, what, shlex.join(sys.argv[1:])))
    for written in filter(None, (options.page, options.figures)):
        click.echo(f"saved: {written}", err=True)
