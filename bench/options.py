"""Types of command-line options."""

from __future__ import annotations

from collections.abc import Sequence

import click


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
