"""`lbproxy demo`: see it work, on this machine alone."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rich.console import Console

from lbproxy.demo.acceptor import check_gssapi
from lbproxy.demo.realm import find_programs
from lbproxy.demo.stack import RESTART_AFTER, DemoStack
from lbproxy.demo.store import find_etcd
from lbproxy.demo.tour import Stop, tour
from lbproxy.errors import MissingExtraError, StartError

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command("demo")
@click.option(
    "--port",
    type=click.IntRange(0, 65534),
    default=8443,
    show_default=True,
    help="On 127.0.0.1; the next one passes TLS through, and two more are a second balancer's. One that is taken is "
    "replaced by any that is free.",
)
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="An empty directory for all files, kept afterwards. Default: a temporary one, removed at the end.",
)
@click.option("--no-kerberos", is_flag=True, help="Connectors that ask for no ticket, and no realm.")
@click.option(
    "--no-fleet", is_flag=True, help="One balancer. Default: two, which share their orders, if etcd is installed."
)
@click.option("--once", is_flag=True, help="Run the commands that the demo prints, and end.")
def command(port: int, directory: Path | None, no_kerberos: bool, no_fleet: bool, once: bool) -> None:
    """Start three sample connectors, a throwaway Kerberos realm and CAs, and one balancer or two in front of them.

    It prints commands to try, and runs until Ctrl-C or TERM. Nothing is left running, and the exit status is 0; with
    --once it is 1 if one of the commands fails.
    """
    sys.exit(asyncio.run(_demo(port, directory, not no_kerberos, not no_fleet, once)))


async def _demo(port: int, directory: Path | None, kerberos: bool, fleet: bool, once: bool) -> int:
    console = Console(highlight=False)
    signalled = asyncio.Event()
    for number in _STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, signalled.set)
    with _home(directory) as home:
        etcd = find_etcd() if fleet else None
        stack = DemoStack(home, port, kerberos and _kerberos(console), partial(_plain, console), etcd=etcd)
        try:
            return await _until(signalled, _visit(stack, console, once))
        finally:
            await stack.stop()  # not a part of what a signal cancels: a second Ctrl-C must not stop it half way


@contextmanager
def _home(directory: Path | None) -> Iterator[Path]:
    if directory is None:
        with TemporaryDirectory(prefix="lbproxy-demo-") as temporary:
            yield Path(temporary)
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        empty = not any(directory.iterdir())
    except OSError as error:
        raise StartError(f"{directory} cannot be used: {error.strerror}") from error
    if not empty:
        raise StartError(f"{directory} is not empty")
    yield directory


def _kerberos(console: Console) -> bool:
    """Whether this machine has what Kerberos needs; says what is missing."""
    try:
        find_programs()
        check_gssapi()
    except (StartError, MissingExtraError) as error:
        _plain(console, f"Without Kerberos: {error}")
        return False
    return True


async def _until(event: asyncio.Event, work: Coroutine[None, None, int]) -> int:
    """The result of `work`; 0 when the event came first, and `work` is cancelled."""
    task, waiter = asyncio.create_task(work), asyncio.create_task(event.wait())
    await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()
    task.cancel()  # does nothing to one that is done
    await asyncio.wait({task})
    return 0 if task.cancelled() else task.result()


async def _visit(stack: DemoStack, console: Console, once: bool) -> int:
    """Starts the stack and prints the tour; with `once` also takes it, else stays until cancelled."""
    await stack.start()
    stops = tour(stack)
    if once:
        return await _take(stops, stack, console)
    console.print(f"[bold green]{stack.server_url}[/] is served. Try, in another terminal:\n")
    _plain(console, f"  {_read_env(stack)}\n")
    for stop in stops:
        _announce(stop, console)
    _plain(console, f"A killed connector starts again after {RESTART_AFTER:.0f} s.")
    _plain(console, f"All files and logs: {stack.directory}")
    _plain(console, "Ctrl-C ends everything.\n")
    await stack.watch()
    return 0


async def _take(stops: list[Stop], stack: DemoStack, console: Console) -> int:
    """Runs every command; 0, or 1 at the first that fails."""
    watching = asyncio.create_task(stack.watch())  # a rolling update ends connectors, and they come back
    try:
        for stop in stops:
            _announce(stop, console)
            status = await _run(f"{_read_env(stack)}; {stop.once or stop.command}")
            console.print()
            if status:
                console.print(f"[red]exit status {status}[/]")
                return 1
        return 0
    finally:
        watching.cancel()
        await asyncio.wait({watching})


def _read_env(stack: DemoStack) -> str:
    return f". {shlex.quote(str(stack.directory / 'env'))}"


async def _run(line: str) -> int:
    """Runs a line for the shell; the exit status. Cancelled, it leaves nothing of it behind."""
    # -e and pipefail: the first failure counts, in the middle of a loop or a pipeline too.
    arguments = ("bash", "-e", "-o", "pipefail", "-c", line)
    shell = await asyncio.create_subprocess_exec(*arguments, stdin=asyncio.subprocess.DEVNULL, process_group=0)
    try:
        return await shell.wait()
    finally:
        if shell.returncode is None:
            os.killpg(shell.pid, signal.SIGKILL)
            await shell.wait()


def _announce(stop: Stop, console: Console) -> None:
    console.print(f"[bold]{stop.title}[/]")
    _plain(console, f"  {stop.command}\n")


def _plain(console: Console, text: str) -> None:
    """Prints text as it is: no markup in it (paths and commands have brackets), no line broken."""
    console.print(text, markup=False, soft_wrap=True)
