"""What is known of each request, and what was seen that must not be."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from .script import Request

REMEMBERED = 10_000
"""Requests that have ended and that backends may still get."""

SHOWN = 20
"""Broken rules that are printed; of more there is only the number."""


@dataclass
class Client:
    """One client connection: who backends may take it for.

    address: its own, once it is connected. certificate: the name in the one that it shows. bound: the user that its
    requests without a credential may run as; None: no user.
    """

    number: int
    certificate: str | None = None
    address: tuple[str, int] | None = None
    bound: str | None = None


@dataclass
class Tried:
    """One request: how often a backend got it, and whether it ended."""

    request: Request
    client: Client
    runs: int = 0


@dataclass
class Ledger:
    """Of one mode. `wrong` are the broken rules in words, `ends` counts how requests ended.

    `open` are the requests that have not ended, `closed` the last ones that have: a backend may still get one of them
    whose client has gone.
    """

    mode: str
    seed: int
    wrong: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    open: dict[str, Tried] = field(default_factory=dict)
    closed: dict[str, Tried] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    @property
    def requests(self) -> int:
        """How many have ended."""
        return self.ends.total()

    def begins(self, request: Request, client: Client) -> None:
        """A client is about to send it."""
        self.open[request.id] = Tried(request, client)

    def runs_at(self, id_: str, backend: str) -> Tried | None:
        """A backend got it whole, or its head: what is known of it."""
        tried = self.open.get(id_) or self.closed.get(id_)
        if tried is None:
            self.broken(f"{backend} got {id_}, which has ended, or was never sent")
            return None
        self.runs += 1
        tried.runs += 1
        if tried.runs > 1 and tried.request.once:
            self.broken(f"{tried.request} ran {tried.runs} times")
        return tried

    def ended(self, request: Request, how: str) -> None:
        """Its client has seen its end, or has gone before."""
        tried = self.open.pop(request.id, None)
        if tried is None:
            self.broken(f"{request} ended twice, at last by {how}")
            return
        self.ends[how] += 1
        self.closed[request.id] = tried
        if len(self.closed) > 2 * REMEMBERED:
            for old in list(self.closed)[:REMEMBERED]:
                del self.closed[old]

    def broken(self, what: str) -> None:
        """A rule was broken."""
        self.wrong.append(f"{self.mode}, seed {self.seed}, after {time.monotonic() - self.started:.1f} s: {what}")

    def report(self) -> str:
        """The numbers, then what went wrong."""
        ends = ", ".join(f"{count} {how}" for how, count in self.ends.most_common())
        lines = [f"{self.mode}: {self.requests} requests, {self.runs} runs; {ends}", *self.wrong[:SHOWN]]
        if len(self.wrong) > SHOWN:
            lines.append(f"and {len(self.wrong) - SHOWN} more")
        return "\n".join(lines)
