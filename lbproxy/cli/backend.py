"""`lbproxy backend`: backends that come, change and go while lbproxy runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lbproxy.cli import config_option
from lbproxy.cli.console import output, plain, say
from lbproxy.cli.options import admin_bind, admin_option
from lbproxy.cli.wording import here_only, said, state, waiting_order
from lbproxy.config import Address
from lbproxy.control.admin.client import add_backend, change_backend, fetch_status, remove_backend
from lbproxy.control.draining import unfinished
from lbproxy.control.instance import title
from lbproxy.control.snapshot import BackendView, InstanceView, PoolView
from lbproxy.errors import AdminError

if TYPE_CHECKING:
    from rich.table import Table

_LASTING = ("file", "operator")
"""Sources whose backends belong into the file: what was discovered comes again by itself."""

_json_option = click.option("--json", "as_json", is_flag=True, help="Print how it is then, as one JSON object.")
_weight_option = click.option("--weight", type=int, metavar="N", help="Its part of the turns, 0 to 100; 0 is none.")


@click.group("backend")
def command() -> None:
    """Add, change and remove backends of the running balancer.

    They stay over a reload and an upgrade, and end when lbproxy is stopped: what `lbproxy backend list --toml` prints
    makes them last.
    """


@command.command("add")
@config_option
@admin_option
@click.argument("name", metavar="POOL/NAME")
@click.argument("url")
@_weight_option
@click.option("--standby", is_flag=True, help="It gets work only while too few others are in rotation.")
@_json_option
def add(
    path: Path, admin: Address | None, name: str, url: str, weight: int | None, standby: bool, as_json: bool
) -> None:
    """Make URL the backend NAME of the pool. It gets work when its first probe is good.

    To add it again changes its weight and standby. The exit status is 0, and 1 if it is refused, as when the file has a
    backend of this name, the URL is one of lbproxy's own listeners, or the pool is full.
    """
    after = add_backend(admin_bind(path, admin), _full(name), url, 1 if weight is None else weight, standby)
    backend = after["backend"]
    how = "in rotation" if backend["in_rotation"] else state(backend).plain
    _say(after, f"{title(after)} is added; it is {how} now", as_json)


@command.command("remove")
@config_option
@admin_option
@click.argument("name", metavar="POOL/NAME")
@click.option("--force", is_flag=True, help="Even if no other backend of the pool is in rotation.")
@_json_option
def remove(path: Path, admin: Address | None, name: str, force: bool, as_json: bool) -> None:
    """Take out a backend that was added; what it has may finish, within drain_timeout.

    What the file has is taken out in the file. Of a name without a backend, the orders are removed. The exit status is
    0, and 1 if it is refused.
    """
    last = remove_backend(admin_bind(path, admin), _full(name), force)
    if last is None:
        _say(last, f"no backend is called {name}; what was ordered for it is taken back", as_json)
    else:
        _say(last, f"{title(last)} is removed; {unfinished(last) or 'nothing'} to finish", as_json)


@command.command("set")
@config_option
@admin_option
@click.argument("name", metavar="POOL/NAME")
@_weight_option
@click.option("--standby/--no-standby", default=None, help="Whether it gets work only while too few others can.")
@click.option("--undo", is_flag=True, help="Weight and standby are again as the file, or whatever added it, says.")
@click.option("--force", is_flag=True, help="Weight 0 even if no other backend of the pool is in rotation.")
@_json_option
def change(
    path: Path,
    admin: Address | None,
    name: str,
    weight: int | None,
    standby: bool | None,
    undo: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Give a backend another weight, or make it a standby. The order stays, also over reloads, until --undo.

    The exit status is 0, and 1 if it is refused.
    """
    given = {key: value for key, value in (("weight", weight), ("standby", standby)) if value is not None}
    if undo == bool(given):
        raise click.UsageError("give --weight, --standby or --no-standby, or --undo alone")
    wanted: dict[str, int | bool | None] = {"weight": None, "standby": None} if undo else {**given}
    after = change_backend(admin_bind(path, admin), _full(name), wanted, force)
    if after is None:
        _say(after, f"no backend is called {name}; the order waits for one" if given else (
            f"no backend is called {name}; what was ordered of its weight and standby is taken back"
        ), as_json)  # fmt: skip
        return
    backend = after["backend"]
    told = f"has weight {backend['weight']}, and is {'a' if backend['standby'] else 'no'} standby"
    _say(after, f"{title(after)} {told}", as_json)


@command.command("list")
@config_option
@admin_option
@click.option("--toml", "as_toml", is_flag=True, help="Print what to write into the file, so that all of it lasts.")
@click.option("--json", "as_json", is_flag=True, help="Print a list with the pool of each backend, as JSON.")
def show(path: Path, admin: Address | None, as_toml: bool, as_json: bool) -> None:
    """Show every backend: where it comes from, its weight, and what was ordered, when and by which user."""
    if as_toml and as_json:
        raise click.UsageError("--toml and --json do not go together")
    pools = fetch_status(admin_bind(path, admin))["pools"]
    if as_json:
        found = [{"pool": pool["name"], "backend": one} for pool in pools for one in pool["backends"]]
        click.echo(json.dumps(found, indent=2))
    elif as_toml:
        click.echo("\n".join(line for pool in pools for line in toml(pool)))
    else:
        output().print(_table(pools))
        for pool in pools:
            for order in pool["waiting_orders"]:
                say(f"pool {pool['name']}: {waiting_order(order, time.time())}")


def toml(pool: PoolView) -> Iterator[str]:
    """The lines of the file, with what operators have said in them."""
    yield f"[pool.{_key(pool['name'])}]"
    yield "backends = ["
    for one in pool["backends"]:
        if one["source"] in _LASTING:
            yield f"  {_inline(one)},"
        if one["draining"]:
            yield f"  # {one['name']} is drained, which the file cannot say"
    for order in pool["waiting_orders"]:
        yield f"  # no backend is called {order['name']}: what is ordered for it ends with lbproxy"
    yield "]"


def _inline(backend: BackendView) -> str:
    parts = [f"name = {_text(backend['name'])}", f"url = {_text(backend['url'])}"]
    if backend["check_url"] is not None:
        parts.append(f"check_url = {_text(backend['check_url'])}")
    if backend["weight"] != 1:
        parts.append(f"weight = {backend['weight']}")
    if backend["standby"]:
        parts.append("standby = true")
    return f"{{ {', '.join(parts)} }}"


def _text(value: str) -> str:
    """A basic string (TOML 1.0): JSON escapes all that has to be, and here nothing else."""
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    """A bare key (TOML 1.0), or a quoted one."""
    bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if bare else _text(name)


def _table(pools: list[PoolView]) -> Table:
    from rich.table import Table

    table = Table("pool", "backend", "url", "weight", "source", "state", "ordered", box=None, padding=(0, 2, 0, 0))
    now = time.time()
    for pool in pools:
        for one in pool["backends"]:
            texts = (pool["name"], one["name"], one["url"], str(one["weight"]), one["source"])
            table.add_row(*map(plain, texts), state(one), plain(said(one, now)))
    return table


def _full(name: str) -> str:
    if "/" not in name:
        raise AdminError(f"{name}: write POOL/{name}, since a backend is one of a pool")
    return name


def _say(found: InstanceView | None, sentence: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        say(sentence)
        if found is not None and (alone := here_only(found)):
            say(alone)
