"""Options that the commands share."""

from __future__ import annotations

from collections.abc import Sequence

import click

from bench.load.peers import PEERS

OTHERS = tuple(name for name in PEERS if name != "lbproxy")


class Names(click.ParamType[list[str]]):
    """Names of `known`, with commas between them; "" is none."""

    name = "names"

    def __init__(self, known: Sequence[str]) -> None:
        self._known = known

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        names = [name.strip() for name in value.split(",") if name.strip()]
        for name in names:
            if name not in self._known:
                self.fail(f"{name}: not one of {', '.join(self._known)}", param, ctx)
        return names


peers_option = click.option(
    "--peers", type=Names(OTHERS), default=",".join(OTHERS), show_default=True, help="Beside lbproxy."
)
