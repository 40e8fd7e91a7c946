"""The command line: one module a command, imported only when the command is used (see `group`)."""

from __future__ import annotations

from pathlib import Path

import click

from lbproxy import __version__
from lbproxy.cli.group import LazyGroup

COMMANDS = {
    "run": "Serve until TERM, which lets requests finish first.",
    "init": "Write a first configuration.",
    "help": "Say what a key of the configuration means.",
    "import": "Make a draft from the configuration of HAProxy or nginx.",
    "check": "Validate a configuration and open every file it names.",
    "reload": "Read the configuration again, and serve it.",
    "status": "Show what the running balancer sees.",
    "dashboard": "Show it all in a browser.",
    "connections": "Show the clients that are connected, and what they wait for.",
    "kick": "End one client connection.",
    "log-level": "Say how much the log says, for a while.",
    "health": "Should clients be sent to this host?",
    "leave": "Let the virtual addresses move to another host.",
    "keepalived": "Print a configuration that moves the virtual addresses.",
    "drain": "Take a backend out of rotation.",
    "ready": "Bring a drained backend back.",
    "backend": "Add, change and remove backends while it runs.",
    "rollout": "Update a pool's backends one after the other.",
    "fleet": "Show the balancers that share a fleet with it.",
    "register": "Keep a connector in its pool for as long as it serves.",
    "doctor": "Find what is wrong, why it matters, and what repairs it.",
    "instance": "Make connectors of one, and find where they differ.",
    "demo": "Try it all on this machine, with sample connectors.",
}
"""Name -> the line in `lbproxy --help`."""

config_option = click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(path_type=Path),
    default=Path("/etc/lbproxy/lbproxy.toml"),
    show_default=True,
    envvar="LBPROXY_CONFIG",
    show_envvar=True,
    metavar="FILE",
    help="The configuration file.",
)


@click.group(
    cls=LazyGroup,
    package=__name__,
    summaries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="lbproxy")
def main() -> None:
    """Load balancer for services that authenticate their users themselves: Kerberos, NTLM, client certificates."""
