"""`lbproxy register`: a connector puts itself into its pool, and takes itself out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from lbproxy import config
from lbproxy.balance.member import Member
from lbproxy.cli import config_option
from lbproxy.cli.options import facts as named_facts
from lbproxy.cli.options import read_by, seconds
from lbproxy.config.addresses import absolute_url
from lbproxy.control import log as operational_log
from lbproxy.runtime.build_registration import TCP, Wanted, register


def _name(text: str) -> str:
    if not config.is_name(text):
        raise ValueError(f"{text!r} is not a name: a letter or digit, and up to 62 more, '-', '_' and '.'")
    return text


def _url(text: str) -> str:
    if problem := Member("c", text).problem():
        raise ValueError(problem)
    return text


def _check(text: str) -> str:
    if text != TCP:
        absolute_url(text, ("http", "https"))
    return text


def _instance_facts(kind: str, directory: Path, environment: Path | None) -> dict[str, str]:
    """As its files are now, which its process has read at its start. Raises InstanceError."""
    from lbproxy.instance.facts import read_facts  # what reads them is not needed otherwise
    from lbproxy.instance.model import Where

    return read_facts(kind, Where(directory, environment)).facts


@click.command("register")
@config_option
@click.option("--pool", required=True, callback=read_by(_name), metavar="POOL", help="The pool that it belongs to.")
@click.option(
    "--name", required=True, callback=read_by(_name), metavar="NAME", help="Its name; no other in the pool has it."
)
@click.option(
    "--url", required=True, callback=read_by(_url), metavar="URL", help="Where balancers reach it, as in `backends`."
)
@click.option(
    "--check", default=TCP, show_default=True, callback=read_by(_check), metavar="URL|tcp",
    help="What has to answer: this page, with 200, 302 or 401, or the port of --url.",
)  # fmt: skip
@click.option(
    "--fact", "facts", multiple=True, callback=named_facts, metavar="NAME=VALUE",
    help="Something that should be the same on all connectors, such as version=1.8.0; may be given again.",
)  # fmt: skip
@click.option("--instance", "kind", metavar="KIND", help="Send the facts of the instance in --dir too: auth0 or apono.")
@click.option(
    "--dir", "directory", type=click.Path(path_type=Path), default=Path(), metavar="DIR",
    help="With --instance: where it is installed.",
)  # fmt: skip
@click.option(
    "--environment", type=click.Path(path_type=Path), metavar="FILE",
    help="With --instance: the file of variables that its service is started with.",
)  # fmt: skip
@click.option(
    "--drain-timeout", callback=seconds, default="30s", show_default=True, metavar="DURATION",
    help="How long to wait, after TERM, until balancers have drained it.",
)  # fmt: skip
def command(
    path: Path,
    pool: str,
    name: str,
    url: str,
    check: str,
    facts: dict[str, str],
    kind: str | None,
    directory: Path,
    environment: Path | None,
    drain_timeout: float,
) -> None:
    """Keep a connector in a pool of every balancer of the fleet, for as long as this command runs.

    It runs beside the connector, and reads only the table [fleet] of FILE. The connector is registered in etcd while
    --check is good. After TERM or INT it is taken out; the command waits until every balancer has drained it, or until
    --drain-timeout has gone. Then the connector may end.

    The exit status is 0. It is 1 if the configuration or the instance cannot be read, or another live registration has
    the name.
    """
    fleet = config.fleet(path)
    if kind is not None:
        facts = {**_instance_facts(kind, directory, environment), **facts}
    handler = operational_log.setup()
    try:
        asyncio.run(register(fleet, Wanted(pool, name, url, check, facts, drain_timeout)))
    finally:
        handler.close()
