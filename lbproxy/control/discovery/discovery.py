"""The one behaviour of all sources: asks one again and again, and lets the pool have what is to be believed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, NotRequired, TypedDict

from lbproxy.balance.belief import DEFAULT, Belief, Rules, Verdict
from lbproxy.balance.member import Member
from lbproxy.control import tasks
from lbproxy.control.discovery.source import Answer, Source, SourceError
from lbproxy.control.log import event
from lbproxy.control.snapshot import DiscoveryView

log = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds that one answer may take."""

SOONEST = 1.0
"""Seconds between two questions at least, whatever a source says of how long its answer is good; and after a failure,
which doubles with each one in a row, up to the interval."""

SHOWN = 5
"""Sentences about members that are left out, in one line of the log."""

Apply = Callable[[str, tuple[Member, ...]], tuple[str, ...]]
"""What a source wants, by its name, to the sentences about what it may not have: `Pool.apply`."""


class Memory(TypedDict):
    """What is known of a source, as JSON has it: the last set (name, url, weight, standby), and since when it fails.

    `facts` are those of an `Answer`; versions before 0.1.0 had none.
    """

    where: str
    members: list[list[Any]]
    failing_since: float | None
    error: str
    facts: NotRequired[dict[str, dict[str, str]]]


class Discovery:
    """One source of the pool `pool`. `answered` is set when it has said something, or failed, for the first time.

    `facts` are the latest that the source has told of members, by name; `on_fact` is called with each name whose facts
    have become others, before the pool hears of its members.
    """

    def __init__(self, pool: str, source: Source, apply: Apply, interval: float, rules: Rules = DEFAULT) -> None:
        """interval: seconds between two questions at most."""
        self.source = source
        self.belief = Belief(rules)
        self.answered = asyncio.Event()
        self.facts: Mapping[str, Mapping[str, str]] = {}
        self.on_fact: Callable[[str], None] = lambda name: None
        self._pool = pool
        self._apply = apply
        self._interval = interval
        self._refused: tuple[str, ...] = ()  # by the pool
        self._left_out: tuple[str, ...] = ()  # by the source
        self._doubt = ""  # that was logged
        self._started = False
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<discovery of {self._pool} by {self.source.name}: {self.belief!r}>"

    def start(self) -> None:
        """Ask from now on."""
        self._task = tasks.start(self._keep_asking(), name=f"discovery {self._pool} {self.source.name}")

    async def stop(self) -> None:
        """Ask no more; the members stay."""
        await tasks.stop(self._task)
        await self.source.stop()

    def memory(self) -> Memory:
        """What it knows, for the next process."""
        belief = self.belief
        members = [[one.name, one.url, one.weight, one.standby] for one in belief.members]
        return {
            "where": self.source.where,
            "members": members,
            "failing_since": belief.failing_since,
            "error": belief.error,
            "facts": {name: {**facts} for name, facts in self.facts.items()},
        }

    def remember(self, memory: Memory) -> None:
        """Go on from there, before `start`: these are members until the source has answered. Of another source: no."""
        if memory["where"] != self.source.where:
            return
        self.belief.members = tuple(Member(*fields) for fields in memory["members"])
        self.belief.failing_since, self.belief.error = memory["failing_since"], memory["error"]
        self.facts = memory.get("facts", {})
        if self.belief.members:
            self._give()
            self.answered.set()

    def view(self) -> DiscoveryView:
        """For the snapshot."""
        now, belief = time.monotonic(), self.belief
        return {
            "source": self.source.name,
            "where": self.source.where,
            "members": len(belief.members),
            "age_seconds": None if belief.answered_at is None else now - belief.answered_at,
            "stale_seconds": belief.stale(now),
            "error": belief.error or None,
            "doubt": None if belief.doubt is None else belief.doubt.text,
            "left_out": [*self._left_out],
        }

    async def _keep_asking(self) -> None:
        while True:
            wait = await self._ask()
            self.answered.set()
            await self.source.wait(wait)

    async def _ask(self) -> float:
        """Ask once; the seconds until it is to be asked again."""
        try:
            async with asyncio.timeout(PATIENCE):
                if not self._started:
                    await self.source.start()
                    self._started = True
                answer = await self.source.look(again=self.belief.doubt is not None)
                await asyncio.sleep(0)  # requests go between: with workers = 1 they are on this loop
        except (SourceError, OSError) as error:  # TimeoutError is an OSError
            return self._failed(str(error) or f"{self.source.where}: no answer within {PATIENCE:g} s")
        except Exception as error:  # of ours, or of a library: it must not end the discovery
            log.exception("discovery_failed", extra={"fields": {"pool": self._pool, "source": self.source.name}})
            return self._failed(f"{self.source.where}: {type(error).__name__}: {error}")
        return self._take(answer)

    def _failed(self, error: str) -> float:
        if self.belief.failed(error, time.monotonic()):
            self._say(logging.ERROR, "discovery_stale", error=error, members=len(self.belief.members))
        self._doubt = ""
        return min(self._interval, SOONEST * 2.0 ** min(self.belief.failures - 1, 16))

    def _take(self, answer: Answer) -> float:
        now = time.monotonic()
        stale = None if self.belief.failing_since is None else self.belief.stale(now)
        verdict = self.belief.answered(answer.members, now, answer.leaving)
        if stale is not None:
            self._say(logging.INFO, "discovery_recovered", after=round(stale, 1), members=len(answer.members))
        if answer.left_out != self._left_out:
            self._left_out = answer.left_out
            self._say_left_out(answer.left_out)
        self._say_doubt()
        before, self.facts = self.facts, answer.facts
        others = [name for name, one in self.facts.items() if before.get(name) is not one]  # of thousands, some
        for name in others:
            if self.facts[name] != before.get(name):
                self.on_fact(name)
        if verdict is Verdict.CHANGED or (verdict is Verdict.SAME and self._refused):  # there may be room by now
            self._give()
        wait = min(max(SOONEST, answer.good_for), self._interval)
        doubt = self.belief.doubt
        return wait if doubt is None else max(min(wait, doubt.until - now), 0.01)

    def _give(self) -> None:
        refused = self._apply(self.source.name, self.belief.members)
        if refused != self._refused:
            self._refused = refused
            self._say_left_out(refused)

    def _say_doubt(self) -> None:
        """Once for each time that an answer is not believed at once."""
        kind = "" if self.belief.doubt is None else "empty" if self.belief.doubt.empty else "half"
        if kind and kind != self._doubt:
            assert self.belief.doubt is not None
            self._say(logging.WARNING, "discovery_doubted", text=self.belief.doubt.text)
        self._doubt = kind

    def _say_left_out(self, sentences: tuple[str, ...]) -> None:
        if sentences:
            more = f"; and {len(sentences) - SHOWN} more" if len(sentences) > SHOWN else ""
            text = "; ".join(sentences[:SHOWN]) + more
            self._say(logging.WARNING, "discovery_refused", count=len(sentences), text=text)

    def _say(self, level: int, name: str, **fields: object) -> None:
        event(log, level, name, pool=self._pool, source=self.source.name, where=self.source.where, **fields)
