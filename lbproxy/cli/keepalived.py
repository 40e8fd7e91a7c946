"""`lbproxy keepalived`: a configuration for the program that moves the virtual addresses."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path
from socket import gethostname

import click

from lbproxy import __version__, program
from lbproxy.cli import config_option
from lbproxy.cli.options import read_by
from lbproxy.config import Config, addresses, load
from lbproxy.control.keepalived import Group, keepalived
from lbproxy.ip_addresses import IpAddress, ip_of

_INTERFACE = re.compile(r"[A-Za-z0-9_.:@-]{1,15}")  # IFNAMSIZ of linux/if.h, with its final NUL
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\$?")


def _hosts(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, IpAddress]:
    found: dict[str, IpAddress] = {}
    for value in values:
        name, sign, address = value.partition("=")
        if not sign or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", name):
            raise click.BadParameter(f"{value!r} is not NAME=ADDRESS")
        ip = ip_of(address)
        if ip is None:
            raise click.BadParameter(f"{address!r} is not an IP address")
        if name in found or ip in found.values():
            raise click.BadParameter(f"{value!r}: the name or the address is there twice")
        found[name] = ip
    if len(found) < 2:
        raise click.BadParameter("at least two hosts are needed")
    if len({one.version for one in found.values()}) > 1:
        raise click.BadParameter("the hosts' addresses are of two IP versions; use one")
    return found


def _word(_: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """One that keepalived reads as it is."""
    if value is not None and not (_INTERFACE if parameter.name == "interface" else _USER).fullmatch(value):
        raise click.BadParameter(f"{value!r} is none")
    return value


@click.command("keepalived")
@config_option
@click.option(
    "--host", "hosts", multiple=True, callback=_hosts, metavar="NAME=ADDRESS",
    help="A host and its own address; once for each host, the same on all of them.",
)  # fmt: skip
@click.option(
    "--this", metavar="NAME", help="The host to print it for; default: replica of [fleet], or the host's name."
)
@click.option("--interface", required=True, callback=_word, help="Where the virtual addresses are put.")
@click.option(
    "--address", "virtual", multiple=True, callback=read_by(addresses.virtual), metavar="ADDRESS",
    help="A virtual address, instead of virtual_addresses of FILE; may be given several times.",
)  # fmt: skip
@click.option(
    "--router-id", type=click.IntRange(1, 255), default=51, show_default=True,
    help="The VRRP router: another one for each group of hosts in a network.",
)  # fmt: skip
@click.option("--user", callback=_word, help="Who runs the health check; default: user of FILE, or lbproxy.")
@click.option(
    "--notify", default="/usr/bin/logger -t keepalived-lbproxy", show_default=True, metavar="COMMAND",
    help="Run when the host gets or loses the addresses; it is given INSTANCE, its name, the state and the priority.",
)  # fmt: skip
def command(
    path: Path,
    hosts: dict[str, IpAddress],
    this: str | None,
    interface: str,
    virtual: tuple[IpAddress, ...],
    router_id: int,
    user: str | None,
    notify: str,
) -> None:
    """Print keepalived.conf for one of two or more hosts that share virtual addresses.

    Run it on each host with the same --host options. docs/fleet.md says what it does.
    """
    config = load(path)
    virtual = virtual or config.virtual_addresses
    if not virtual:
        raise click.UsageError(f"which addresses? name them in virtual_addresses of {path}, or with --address")
    if '"' in notify or "\n" in notify:
        raise click.UsageError("--notify: a command without quotation marks and line breaks")
    health = f"{_program()} health -c {shlex.quote(str(path.absolute()))}"
    admin = config.admin.bind.path
    socket = shlex.quote(str(admin)) if admin else ""
    if '"' in health + socket:
        raise click.UsageError(f"{path}, or a path in it, has a quotation mark, which keepalived cannot read")
    group = Group(hosts, virtual, interface, router_id, health, socket, notify, user or config.user or "lbproxy")
    if not group.first:
        raise click.UsageError("the hosts' addresses need the IP version of a virtual address")
    click.echo(keepalived(group, _this(config, hosts, this), f"lbproxy {__version__}"), nl=False)


def _this(config: Config, hosts: dict[str, IpAddress], given: str | None) -> str:
    name = given or (config.fleet.replica_name if config.fleet else gethostname())
    if name not in hosts:
        raise click.UsageError(f"--this: there is no --host {name}=; there is {', '.join(hosts)}")
    return name


def _program() -> str:
    """The command that this is, as another program can run it."""
    found = shutil.which("lbproxy", path=str(Path(sys.executable).parent)) or shutil.which("lbproxy")
    return shlex.quote(found) if found else shlex.join(program.command("lbproxy"))
