"""`lbproxy leave`: the virtual addresses move to another host, and lbproxy goes on running."""

from __future__ import annotations

import time
from pathlib import Path

import click

from lbproxy.cli import config_option
from lbproxy.cli.console import say
from lbproxy.cli.options import admin_bind, admin_option, seconds
from lbproxy.config import Address
from lbproxy.control.admin.client import cancel_leave, fetch_leave, leave
from lbproxy.control.admin.sockets import Bind
from lbproxy.control.snapshot import LeaveView
from lbproxy.errors import AdminError

_EVERY = 0.1  # seconds between two looks


@click.command("leave")
@config_option
@admin_option
@click.option("--timeout", callback=seconds, metavar="DURATION", help="Wait so long instead of leave_timeout.")
@click.option("--cancel", is_flag=True, help="Take it back: this host may have the addresses again.")
def command(path: Path, admin: Address | None, timeout: float | None, cancel: bool) -> None:
    """Let the virtual addresses of this host move to another one, and wait until they are gone.

    From now on `lbproxy health` and /readyz say no. New connections are served until the program that moves the
    addresses has heard it; then they wait for the other host, and requests under way finish. lbproxy goes on running,
    and keeps away from the addresses until --cancel or a restart; a reload changes nothing.

    The exit status is 0 once they are gone, and 1 if one is still here when the time is over.
    """
    if cancel and timeout is not None:
        raise click.UsageError("--timeout and --cancel do not go together")
    bind = admin_bind(path, admin)
    if cancel:
        cancel_leave(bind)
        say("this host may have its virtual addresses again")
        return
    say(_result(wait_until_over(bind, leave(bind, timeout))))


def wait_until_over(bind: Bind, seen: LeaveView, every: float = _EVERY) -> LeaveView:
    """Look again until nothing is waited for; returns the last look. Times are seconds.

    Raises AdminError if an operator takes it back, or the user interrupts.
    """
    try:
        while not seen["over"]:
            time.sleep(every)
            seen = fetch_leave(bind)
            if not seen["leaving"]:
                raise AdminError("somebody has taken it back: this host does not leave")
    except KeyboardInterrupt:
        raise AdminError("interrupted: this host still leaves; lbproxy leave --cancel takes it back") from None
    return seen


def _result(seen: LeaveView) -> str:
    if seen["here"]:
        raise AdminError(
            f"still on this host: {', '.join(seen['here'])}; is another host there to take it, and does keepalived run"
            " lbproxy health? It goes on to say no; lbproxy leave --cancel takes that back"
        )
    if seen["elsewhere"]:
        return f"not on this host any more: {', '.join(seen['elsewhere'])}; {seen['connections']} connections are open"
    return f"the time is over; {seen['connections']} connections are open"
