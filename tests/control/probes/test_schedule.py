from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from lbproxy.control.probes import Probe, ProbeResult
from lbproxy.control.probes.schedule import FIRST_BATCH, FIRST_STEP, Prober

GOOD = ProbeResult(True, "200", 0.001)
BAD = ProbeResult(False, "it does not answer", 0.001, "connector_hung")
NEVER = 1e6
"""An interval that no test lives to see."""
CLOCK_STEP = 0.002
"""A timer may come early by as much: loops count in milliseconds."""


class Answers:
    """A probe that gives the same result at once, and counts."""

    def __init__(self, result: ProbeResult = GOOD) -> None:
        self.result = result
        self.runs = 0

    async def run(self) -> ProbeResult:
        self.runs += 1
        return self.result


class Waits:
    """A probe that says when it has begun and ends when it is told to."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[None] = asyncio.Queue()
        self.results: asyncio.Queue[ProbeResult] = asyncio.Queue()
        self.under_way = self.most_under_way = 0

    async def run(self) -> ProbeResult:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self.begun.put_nowait(None)
        try:
            return await self.results.get()
        finally:
            self.under_way -= 1


class Fails:
    """A probe with a fault: it raises the first time."""

    def __init__(self) -> None:
        self.runs = 0

    async def run(self) -> ProbeResult:
        self.runs += 1
        if self.runs == 1:
            raise RuntimeError("a fault of ours")
        return GOOD


class Reports:
    """What a prober reports, to be awaited."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[str, ProbeResult]] = asyncio.Queue()

    def __call__(self, name: str, result: ProbeResult) -> None:
        self.queue.put_nowait((name, result))

    async def next(self) -> tuple[str, ProbeResult]:
        return await self.queue.get()


@asynccontextmanager
async def probing(
    probes: Mapping[str, Probe], report: Callable[[str, ProbeResult], None], interval: float = NEVER
) -> AsyncIterator[Prober]:
    prober = Prober(probes, interval, report, minimum_gap=0)
    try:
        yield prober
    finally:
        await prober.stop()


async def test_each_backend_is_probed_at_once_and_reported() -> None:
    reports = Reports()
    async with probing({"c1": Answers(GOOD), "c2": Answers(BAD)}, reports):
        assert {await reports.next(), await reports.next()} == {("c1", GOOD), ("c2", BAD)}


async def test_probes_go_on_at_the_interval() -> None:
    reports = Reports()
    async with probing({"c1": Answers()}, reports, interval=0.001):
        for _ in range(5):
            assert await reports.next() == ("c1", GOOD)


async def test_a_slow_backend_delays_no_other() -> None:
    reports = Reports()
    async with probing({"slow": Waits(), "c2": Answers()}, reports, interval=0.001):
        for _ in range(5):
            assert await reports.next() == ("c2", GOOD)


async def test_first_round_is_over_when_the_last_backend_has_answered() -> None:
    slow, reports = Waits(), Reports()
    async with probing({"slow": slow, "c2": Answers()}, reports) as prober:
        await reports.next()
        assert not prober.first_round.is_set()
        slow.results.put_nowait(BAD)
        await prober.first_round.wait()
        assert reports.queue.get_nowait() == ("slow", BAD)


async def test_first_round_of_nobody_is_over() -> None:
    async with probing({}, Reports()) as prober:
        assert prober.first_round.is_set()


async def test_probe_now_does_not_wait_for_the_interval() -> None:
    reports = Reports()
    async with probing({"c1": Answers(), "c2": Answers()}, reports) as prober:
        await prober.first_round.wait()
        await reports.next(), await reports.next()
        prober.probe_now("c2")
        assert await reports.next() == ("c2", GOOD)


async def test_probes_of_one_backend_never_overlap_and_requests_for_more_become_one() -> None:
    probe, reports = Waits(), Reports()
    async with probing({"c1": probe}, reports) as prober:
        await probe.begun.get()
        for _ in range(3):
            prober.probe_now("c1")
        probe.results.put_nowait(BAD)
        await probe.begun.get()
        probe.results.put_nowait(GOOD)
        assert [await reports.next(), await reports.next()] == [("c1", BAD), ("c1", GOOD)]
        prober.probe_now("c1")
        await probe.begun.get()
        assert probe.begun.empty()
        assert probe.most_under_way == 1


async def test_a_flood_of_requests_is_slowed_to_the_gap() -> None:
    """A gap as long as the test lives: the second probe that was asked for does not begin."""
    probe, reports = Answers(), Reports()
    prober = Prober({"c1": probe}, NEVER, reports, minimum_gap=NEVER)
    await reports.next()
    prober.probe_now("c1")
    for _ in range(10):
        await asyncio.sleep(0)
    assert probe.runs == 1
    await prober.stop()


async def test_the_last_result_is_kept_with_its_age() -> None:
    reports = Reports()
    async with probing({"c1": Answers(BAD), "slow": Waits()}, reports) as prober:
        await reports.next()
        assert prober.last("c1") == BAD
        view = prober.view("c1")
        assert view is not None
        assert view["age_seconds"] >= 0
        assert view == {
            "ok": False,
            "detail": BAD.detail,
            "reason": BAD.reason,
            "took_seconds": BAD.took,
            "age_seconds": view["age_seconds"],
        }
        assert prober.last("slow") is None
        assert prober.view("slow") is None


async def test_a_fault_in_a_probe_is_logged_and_is_not_the_backends(caplog: pytest.LogCaptureFixture) -> None:
    probe, reports = Fails(), Reports()
    async with probing({"c1": probe}, reports) as prober:
        await prober.first_round.wait()
        assert reports.queue.empty()
        assert prober.last("c1") is None
        prober.probe_now("c1")
        assert await reports.next() == ("c1", GOOD)
    assert [record.message for record in caplog.records] == ["probe_failed"]


async def test_a_fault_in_the_report_does_not_end_the_probes(caplog: pytest.LogCaptureFixture) -> None:
    second = asyncio.Event()

    def report(name: str, result: ProbeResult) -> None:
        if not caplog.records:
            raise RuntimeError("a fault of ours")
        second.set()

    async with probing({"c1": Answers()}, report, interval=0.001):
        await second.wait()
    assert [record.message for record in caplog.records] == ["probe_failed"]


async def test_nothing_is_reported_after_stop() -> None:
    probe, reports = Waits(), Reports()
    prober = Prober({"c1": probe}, NEVER, reports)
    await probe.begun.get()
    await prober.stop()
    assert probe.under_way == 0
    assert reports.queue.empty()
    assert not prober.first_round.is_set()


async def test_a_request_after_stop_is_in_vain() -> None:
    probe, reports = Answers(), Reports()
    async with probing({"c1": probe}, reports) as prober:
        await reports.next()
    prober.probe_now("c1")
    for _ in range(10):
        await asyncio.sleep(0)
    assert probe.runs == 1


async def test_an_interval_is_never_longer_and_the_first_may_be_much_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[float, float]] = []

    def lowest(low: float, high: float) -> float:
        drawn.append((low, high))
        return low

    monkeypatch.setattr(random, "uniform", lowest)
    reports = Reports()
    async with probing({"c1": Answers()}, reports, interval=0.01):
        for _ in range(4):
            await reports.next()
    assert [low for low, _ in drawn[:3]] == pytest.approx([0.005, 0.009, 0.009])
    assert all(low < high < 0.01 for low, high in drawn)


async def test_those_that_are_due_soon_after_each_other_begin_together() -> None:
    """In one turn of the loop: there are fewer of those than probes."""
    loop = asyncio.get_running_loop()
    reports, turns, count = Reports(), 0, 200
    in_turn = False

    class Notes(Answers):
        async def run(self) -> ProbeResult:
            nonlocal turns, in_turn
            if not in_turn:
                turns, in_turn = turns + 1, True
                loop.call_soon(end_turn)
            return await super().run()

    def end_turn() -> None:
        nonlocal in_turn
        in_turn = False

    async with probing({f"c{number}": Notes() for number in range(count)}, reports, interval=0.2):
        for _ in range(2 * count):
            await reports.next()
        assert turns < 2 * count / 4


async def test_first_probes_come_in_small_batches() -> None:
    """However many backends there are, no batch begins before its turn."""
    clock = asyncio.get_running_loop().time
    started = clock()
    begun: list[float] = []
    probes = {f"c{number}": Answers() for number in range(10 * FIRST_BATCH)}
    async with probing(probes, lambda name, result: begun.append(clock() - started)) as prober:
        await prober.first_round.wait()
    for number, when in enumerate(begun):
        assert when >= number // FIRST_BATCH * FIRST_STEP - CLOCK_STEP


# --- backends come and go


async def test_one_that_joins_is_probed_at_once_and_goes_on() -> None:
    reports, probe = Reports(), Answers()
    prober = Prober({}, NEVER, reports)
    assert prober.first_round.is_set()
    prober.join("c9", probe)
    assert await reports.next() == ("c9", GOOD)
    assert prober.last("c9") is GOOD
    await prober.stop()


async def test_one_that_joins_before_the_first_round_is_over_belongs_to_it() -> None:
    waits = Waits()
    prober = Prober({"c1": waits}, NEVER, Reports())
    prober.join("c2", late := Waits())
    waits.results.put_nowait(GOOD)
    await late.begun.get()
    assert not prober.first_round.is_set()
    late.results.put_nowait(BAD)
    await prober.first_round.wait()
    await prober.stop()


async def test_one_that_leaves_is_reported_no_more_and_holds_up_nobody() -> None:
    reports, waits = Reports(), Waits()
    prober = Prober({"c1": waits}, NEVER, reports)
    await waits.begun.get()
    prober.leave("c1")
    await prober.first_round.wait()
    waits.results.put_nowait(GOOD)
    prober.probe_now("c1")
    assert (prober.last("c1"), prober.view("c1")) == (None, None)
    await prober.stop()
    assert (waits.under_way, reports.queue.qsize()) == (0, 0)


async def test_the_same_name_again_is_another_backend() -> None:
    reports, old, new = Reports(), Waits(), Answers(BAD)
    prober = Prober({"c1": old}, NEVER, reports)
    await old.begun.get()
    prober.leave("c1")
    prober.join("c1", new)
    old.results.put_nowait(GOOD)
    assert await reports.next() == ("c1", BAD)
    await prober.stop()
    assert (new.runs, reports.queue.qsize()) == (1, 0)
