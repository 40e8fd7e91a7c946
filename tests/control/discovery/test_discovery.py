from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lbproxy.balance.backend import Backend
from lbproxy.balance.belief import Rules
from lbproxy.balance.health import Rules as HealthRules
from lbproxy.balance.member import Member
from lbproxy.balance.pool import Pool
from lbproxy.control.discovery.discovery import Discovery
from lbproxy.control.discovery.source import Answer, Source, SourceError


def answer(*names: str, **fields: Any) -> Answer:
    return Answer(tuple(Member(name, f"http://{name}:80") for name in names), **fields)


class Script(Source):
    """Answers what it is told to, one after the other; `waits` has for how long it was not to be asked again."""

    name, where = "script", "the test"

    def __init__(self) -> None:
        self.answers: asyncio.Queue[Answer | Exception] = asyncio.Queue()
        self.waits: asyncio.Queue[float] = asyncio.Queue()
        self.again: list[bool] = []
        self.started = self.stopped = 0
        self.fails_to_start = False

    async def start(self) -> None:
        self.started += 1
        if self.fails_to_start:
            self.fails_to_start = False
            raise SourceError("the test: not yet")

    async def stop(self) -> None:
        self.stopped += 1

    async def look(self, again: bool = False) -> Answer:
        self.again.append(again)
        found = await self.answers.get()
        if isinstance(found, Exception):
            raise found
        return found

    async def wait(self, seconds: float) -> None:
        self.waits.put_nowait(seconds)


class Scene:
    def __init__(self, rules: Rules, interval: float, limit: int) -> None:
        self.source = Script()
        self.pool = Pool("p", [Backend("mine", "http://mine:80")], HealthRules(), max_backends=limit)
        self.applied: list[tuple[str, ...]] = []
        self.discovery = Discovery("p", self.source, self._apply, interval, rules)

    def _apply(self, source: str, members: tuple[Member, ...]) -> tuple[str, ...]:
        self.applied.append(tuple(member.name for member in members))
        return self.pool.apply(source, members)

    async def says(self, found: Answer | Exception) -> float:
        """The source says so; for how long it is not to be asked again."""
        self.source.answers.put_nowait(found)
        async with asyncio.timeout(60):
            return await self.source.waits.get()

    @property
    def names(self) -> list[str]:
        return [backend.name for backend in self.pool.backends]


@asynccontextmanager
async def scene(rules: Rules = Rules(), interval: float = 30.0, limit: int = 100) -> AsyncIterator[Scene]:  # noqa: B008
    """rules: a tuple."""
    made = Scene(rules, interval, limit)
    made.discovery.start()
    yield made
    await made.discovery.stop()
    assert made.source.stopped == 1


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


async def test_a_set_becomes_the_pools_once(caplog: pytest.LogCaptureFixture) -> None:
    async with scene() as it:
        assert not it.discovery.answered.is_set()
        await it.says(answer("a", "b"))
        assert it.discovery.answered.is_set()
        await it.says(answer("a", "b"))
        await it.says(answer("b", "c"))
        assert it.names == ["mine", "b", "c"]
        assert it.applied == [("a", "b"), ("b", "c")], "an answer that is the same changes nothing"
        assert [one.source for one in it.pool.backends] == ["file", "script", "script"]
        assert it.source.started == 1
    assert events(caplog) == []


@pytest.mark.parametrize(
    ("good_for", "wait"), [(0.0, 1.0), (0.5, 1.0), (7.0, 7.0), (365 * 86400.0, 30.0), (float("inf"), 30.0)]
)
async def test_it_is_asked_again_when_its_answer_is_old_within_bounds(good_for: float, wait: float) -> None:
    async with scene() as it:
        assert await it.says(answer("a", good_for=good_for)) == wait


@pytest.mark.parametrize("error", [SourceError("the test: no"), OSError("the test: no"), SourceError("nonsense")])
async def test_a_failure_keeps_the_set_and_is_logged_once_and_once_when_it_is_over(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with scene(interval=5.0) as it:
        await it.says(answer("a"))
        assert [await it.says(error) for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
        view = it.discovery.view()
        assert (view["error"], view["members"]) == (str(error), 1)
        assert view["stale_seconds"] > 0
        assert view["age_seconds"] is not None
        assert it.names == ["mine", "a"]
        await it.says(answer("a"))
        view = it.discovery.view()
        assert (view["error"], view["stale_seconds"]) == (None, 0.0)
        await it.says(error)
    assert events(caplog) == ["discovery_stale", "discovery_recovered", "discovery_stale"]


async def test_a_fault_of_a_source_is_a_failure_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with scene() as it:
        await it.says(answer("a"))
        await it.says(ZeroDivisionError("x"))
        assert it.discovery.view()["error"] == "the test: ZeroDivisionError: x"
        assert it.names == ["mine", "a"]
    assert events(caplog) == ["discovery_failed", "discovery_stale"]


async def test_a_source_that_cannot_start_is_started_again() -> None:
    it = Scene(Rules(), 30.0, 100)
    it.source.fails_to_start = True
    it.discovery.start()
    async with asyncio.timeout(60):
        await it.discovery.answered.wait()
    assert it.discovery.view()["error"] == "the test: not yet"
    await it.source.waits.get()
    await it.says(answer("a"))
    assert (it.names, it.source.started) == (["mine", "a"], 2)
    await it.discovery.stop()


async def test_an_answer_that_takes_too_long_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbproxy.control.discovery.discovery.PATIENCE", 0.01)
    async with scene() as it:
        assert await it.source.waits.get() == 1.0
        assert it.discovery.view()["error"] == "the test: no answer within 0.01 s"


async def test_more_than_half_wait_for_a_second_answer_which_is_asked_for_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with scene() as it:
        await it.says(answer(*"abc"))
        assert await it.says(answer("a")) <= 1.0
        assert it.names == ["mine", "a", "b", "c"]
        assert it.discovery.view()["doubt"] is not None
        await it.says(answer(*"abc"))
        assert it.discovery.view()["doubt"] is None
        assert it.source.again[:4] == [False, False, True, False]
    assert events(caplog) == ["discovery_doubted"]


async def test_an_empty_answer_waits_for_its_time_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async with scene(Rules("keep", 20.0)) as it:
        await it.says(answer("a"))
        assert 19.0 < await it.says(answer()) <= 20.0
        assert await it.says(answer(good_for=3.0)) == 3.0
        assert it.names == ["mine", "a"]
    assert events(caplog) == ["discovery_doubted"]


async def test_an_empty_answer_is_accepted_where_that_is_wanted() -> None:
    async with scene(Rules("accept", 20.0)) as it:
        await it.says(answer("a"))
        await it.says(answer())
        assert it.names == ["mine"]


async def test_what_the_pool_refuses_is_logged_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async with scene(limit=3) as it:
        odd = Member("odd", "gopher://odd:70")
        everybody = Answer((*answer("a", "b", "c").members, odd), left_out=("d: it has no port",))
        await it.says(everybody)
        assert it.names == ["mine", "a", "b"]
        assert it.discovery.view()["left_out"] == ["d: it has no port"]
        limited, scheme = it.pool.membership.refused["script"]
        assert limited == "c: the pool has max_backends (3) already"
        assert scheme.startswith("odd: gopher://odd:70: the scheme")
        it.pool.apply("file", [])
        await it.says(everybody)
        assert it.names == ["a", "b", "c"]
        assert len(it.pool.membership.refused["script"]) == 1
    assert events(caplog) == ["discovery_refused"] * 3
    [first, *_] = caplog.records
    assert first.fields["source"] == "script"  # type: ignore[attr-defined]


async def test_names_that_are_there_twice_are_told() -> None:
    async with scene() as it:
        twice = Answer((*answer("a").members, Member("a", "http://other:1")))
        await it.says(twice)
        assert it.names == ["mine", "a"]
        assert list(it.pool.membership.refused["script"]) == ["a: there are two of this name, http://a:80 stays"]


async def test_the_next_process_goes_on_with_the_last_set_until_the_source_answers() -> None:
    async with scene() as old:
        await old.says(answer("a", "b"))
        await old.says(SourceError("gone"))
        left = old.discovery.memory()
    new = Scene(Rules(), 30.0, 100)
    new.discovery.remember(left)
    assert new.names == ["mine", "a", "b"]
    assert new.discovery.answered.is_set(), "nobody need wait for it"
    view = new.discovery.view()
    assert (view["error"], view["age_seconds"]) == ("gone", None)
    new.discovery.start()
    await new.says(answer("b", "c"))
    assert new.names == ["mine", "b", "c"]
    await new.discovery.stop()


async def test_another_source_has_nothing_of_it() -> None:
    async with scene() as old:
        await old.says(answer("a", "b"))
        left = old.discovery.memory()
    new = Scene(Rules(), 30.0, 100)
    new.source.where = "another one"
    new.discovery.remember(left)
    assert new.names == ["mine"]
    assert not new.discovery.answered.is_set()
    await new.discovery.stop()


async def test_facts_are_known_before_the_pool_hears_of_their_member() -> None:
    told: list[tuple[str, list[str]]] = []
    async with scene() as it:
        it.discovery.on_fact = lambda name: told.append((name, it.names))
        await it.says(answer("a", facts={"a": {"version": "1"}}))
        await it.says(answer("a", facts={"a": {"version": "1"}}))
        await it.says(answer("a", "b", facts={"a": {"version": "2"}, "b": {}}))
        assert told == [("a", ["mine"]), ("a", ["mine", "a"]), ("b", ["mine", "a"])]
        successor = Discovery("p", it.source, it.pool.apply, 30.0)
        successor.remember(json.loads(json.dumps(it.discovery.memory())))
        assert successor.facts == it.discovery.facts == {"a": {"version": "2"}, "b": {}}


async def test_one_that_leaves_is_out_at_once() -> None:
    async with scene() as it:
        await it.says(answer("a"))
        await it.says(answer(leaving=frozenset({"a"})))
        assert it.names == ["mine"]
