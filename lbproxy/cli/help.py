"""`lbproxy help`: what a key of the configuration means."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

import click

from lbproxy.config.reference import Entry, entries, matching


@click.command("help")
@click.argument("key", required=False)
def command(key: str | None) -> None:
    """Say what KEY of the configuration file means, with its default and unit; without KEY, list all of them.

    KEY is a full name such as listener.login.idle_timeout, or its end. A table shows what is in it.
    """
    known = entries()
    if key is None:
        for one in known:
            click.echo(_line(one))
        return
    found = matching(key, known)
    if not found:
        close = get_close_matches(key, _names(known), 3, 0.6)
        hint = f"; did you mean {' or '.join(close)}?" if close else "; `lbproxy help` lists all keys"
        raise click.ClickException(f"no key is called {key!r}{hint}")
    click.echo("\n\n".join(_whole(one, known) for one in found))


def _whole(entry: Entry, known: Iterable[Entry]) -> str:
    text = click.wrap_text(entry.text, initial_indent="  ", subsequent_indent="  ") if entry.text else ""
    inside = [f"  {_line(one)}" for one in known if one.name.rpartition(".")[0] == entry.name and entry.kind == "table"]
    return "\n".join([_line(entry), *([text] if text else []), *inside])


def _line(entry: Entry) -> str:
    if entry.kind == "table":
        return f"[{entry.name}]"
    kind = "default" if entry.kind == "default" else "no default; for example"
    return f"{entry.name}  ({kind}: {entry.value})"


def _names(known: Iterable[Entry]) -> list[str]:
    return list(dict.fromkeys([part for one in known for part in (one.name, one.name.rpartition(".")[2])]))
