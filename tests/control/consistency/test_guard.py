from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from lbproxy import reasons
from lbproxy.balance.backend import Backend
from lbproxy.balance.consistency import Policy
from lbproxy.balance.health import Rules as HealthRules
from lbproxy.balance.member import Member
from lbproxy.balance.pool import Pool
from lbproxy.control.consistency import guard as guard_module
from lbproxy.control.consistency.guard import Guard, Rules
from lbproxy.control.consistency.reading import Reading
from tests.net.peers import until

NEVER = 3600.0


class Told:
    """A source that says what the test wants; `asked` counts, and `answers` is cleared by a test that holds it up."""

    def __init__(self, **values: str | None) -> None:
        self.values: dict[str, str | None] = dict(values)
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.fault: Exception | None = None

    async def read(self) -> Mapping[str, Reading]:
        self.asked += 1
        await self.answers.wait()
        if self.fault is not None:
            raise self.fault
        return {fact: Reading(value, "" if value else "no answer") for fact, value in self.values.items()}


class ListenerFixture:
    """A pool whose backends were all probed, one source for each, and a guard that reads them."""

    def __init__(self, versions: str, policy: Policy, interval: float, expected: Mapping[str, str]) -> None:
        names = [f"c{number}" for number, _ in enumerate(versions, 1)]
        self.pool = Pool("connectors", [Backend(name, f"http://{name}:80") for name in names], HealthRules())
        self.sources = {name: Told(version=version) for name, version in zip(names, versions, strict=True)}
        self.first_round = asyncio.Event()
        rules = Rules(["version"], expected, policy, interval)
        self.registered: dict[str, str] = {}
        self.guard = Guard(
            self.pool,
            lambda backend: [self.sources[backend.name]] if backend.name in self.sources else [],
            rules,
            self.first_round,
            self._registered,
        )
        self.bring_up(*names)

    def _registered(self, backend: Backend) -> dict[str, Reading]:
        return {"version": Reading(self.registered[backend.name])} if backend.name in self.registered else {}

    def backend(self, name: str) -> Backend:
        backend = self.pool.by_name(name)
        assert backend is not None
        return backend

    def bring_up(self, *names: str) -> None:
        for name in names:
            for _ in range(2):
                self.pool.probed(self.backend(name), True, "200", 1.0)

    def take_down(self, name: str) -> None:
        self.pool.evidence(self.backend(name), reasons.CONNECT_REFUSED, 1.0)

    def restart(self, name: str, version: str) -> None:
        self.take_down(name)
        self.sources[name].values["version"] = version
        self.bring_up(name)

    @property
    def serving(self) -> str:
        return " ".join(backend.name for backend in self.pool.backends if backend.in_rotation)

    async def settled(self) -> None:
        """Let everything happen that can happen now."""
        for _ in range(50):
            await asyncio.sleep(0)


Make = Callable[..., ListenerFixture]


@pytest.fixture
async def house() -> AsyncIterator[Make]:
    made: list[ListenerFixture] = []

    def make(
        versions: str,
        policy: Policy = "eject-minority",
        interval: float = NEVER,
        expected: Mapping[str, str] | None = None,
        start: bool = True,
    ) -> ListenerFixture:
        made.append(ListenerFixture(versions, policy, interval, expected or {}))
        if start:
            made[-1].first_round.set()
        return made[-1]

    yield make
    for each in made:
        await each.guard.stop()


# --- policies


async def test_one_of_three_differs_and_is_kept_out(house: Make) -> None:
    three = house("221")
    await three.settled()
    assert three.serving == "c1 c2"
    assert three.backend("c3").inconsistent == "version is 1, most have 2"
    assert three.guard.facts("c3") == {"version": "1"}
    assert three.guard.view() == {
        "policy": "eject-minority",
        "updating": False,
        "differences": [
            {
                "fact": "version",
                "reference": "2",
                "expected": False,
                "backends": {"c3": "version is 1, most have 2"},
            }
        ],
    }
    assert repr(three.guard) == "<consistency guard of connectors: version: 2 on c1, c2; 1 on c3>"


async def test_warn_tells_and_ejects_nobody(house: Make, caplog: pytest.LogCaptureFixture) -> None:
    three = house("221", policy="warn")
    await three.settled()
    assert three.serving == "c1 c2 c3"
    assert [record.message for record in caplog.records] == ["facts_differ"]
    assert three.guard.view()["policy"] == "warn"


async def test_on_a_tie_nobody_is_ejected(house: Make) -> None:
    two = house("12")
    await two.settled()
    assert two.serving == "c1 c2"
    assert two.guard.verdict.differences[0].reference is None


async def test_what_is_expected_is_right_but_the_last_one_stays(house: Make) -> None:
    two = house("12", expected={"version": "2"})
    await two.settled()
    assert two.serving == "c1 c2", "one of two is no minority"
    three = house("122", expected={"version": "2"})
    await three.settled()
    assert three.serving == "c2 c3"
    three.take_down("c2")
    three.take_down("c3")
    await three.settled()
    assert three.serving == "c1"


# --- when


async def test_every_interval(house: Make) -> None:
    three = house("221", interval=0.01)
    await until(lambda: three.serving == "c1 c2")
    three.sources["c3"].values["version"] = "2"
    await until(lambda: three.serving == "c1 c2 c3")


async def test_not_before_every_backend_was_probed(house: Make) -> None:
    """Or the first ones to be probed would look like a majority."""
    three = house("221", start=False)
    await three.settled()
    assert three.sources["c3"].asked == 0
    three.first_round.set()
    await three.settled()
    assert three.serving == "c1 c2"


async def test_no_verdict_while_somebody_is_still_to_be_read(house: Make) -> None:
    five = house("11222")
    for name in ("c3", "c4", "c5"):
        five.sources[name].answers.clear()
    await five.settled()
    assert five.serving == "c1 c2 c3 c4 c5"
    for name in ("c4", "c5", "c3"):
        five.sources[name].answers.set()
    await five.settled()
    assert five.serving == "c3 c4 c5"


async def test_nor_while_somebody_has_come_back_meanwhile(house: Make, caplog: pytest.LogCaptureFixture) -> None:
    two = house("11")
    await two.settled()
    first = two.sources["c1"]
    first.answers.clear()
    first.values["version"] = "2"
    two.guard.look("c1")
    await until(lambda: first.asked == 2)
    two.restart("c2", "2")
    first.answers.set()
    await two.settled()
    assert (two.guard.facts("c1"), two.guard.facts("c2")) == ({"version": "2"}, {"version": "2"})
    assert caplog.records == [], "the new version of one was never compared with the old one of the other"


async def test_at_once_after_a_backend_was_readmitted(house: Make) -> None:
    three = house("222")
    await three.settled()
    three.restart("c3", "1")
    await three.settled()
    assert three.serving == "c1 c2"
    assert three.sources["c1"].asked == 1, "the others are not asked for that"


async def test_one_that_comes_back_as_it_was_gets_nobody_in_the_meantime(house: Make) -> None:
    three = house("221")
    await three.settled()
    three.restart("c3", "1")
    assert three.serving == "c1 c2"
    await three.settled()
    three.restart("c3", "2")
    await three.settled()
    assert three.serving == "c1 c2 c3"


async def test_a_tie_that_a_failure_has_made_is_seen_at_once(house: Make) -> None:
    three = house("221")
    await three.settled()
    three.take_down("c1")
    await three.settled()
    assert three.serving == "c2 c3"
    three.bring_up("c1")
    await three.settled()
    assert three.serving == "c1 c2"


async def test_a_backend_that_is_down_is_not_asked_and_its_values_stay(house: Make) -> None:
    three = house("221", interval=0.01)
    await until(lambda: three.serving == "c1 c2")
    three.take_down("c3")
    asked, others = three.sources["c3"].asked, three.sources["c1"].asked
    await until(lambda: three.sources["c1"].asked > others + 2)
    assert three.sources["c3"].asked == asked
    assert three.guard.facts("c3") == {"version": "1"}


async def test_what_one_said_that_went_down_meanwhile_counts_for_nothing(house: Make) -> None:
    three = house("222", interval=0.01)
    await until(lambda: three.guard.facts("c3") == {"version": "2"})
    source = three.sources["c3"]
    source.answers.clear()
    asked = source.asked
    await until(lambda: source.asked > asked)
    source.values["version"] = None
    three.take_down("c3")
    source.answers.set()
    await three.settled()
    assert three.guard.facts("c3") == {"version": "2"}
    assert three.guard.troubles("c3") == {}


# --- what is not known


async def test_what_cannot_be_read_ejects_nobody_and_says_why(house: Make) -> None:
    three = house("222")
    three.sources["c3"].values["version"] = None
    await three.settled()
    assert three.serving == "c1 c2 c3"
    assert three.guard.facts("c3") == {"version": None}
    assert three.guard.troubles("c3") == {"version": "no answer"}
    assert three.guard.troubles("c1") == {}


async def test_silence_does_not_bring_one_back_that_is_kept_out(house: Make) -> None:
    three = house("221")
    await three.settled()
    three.sources["c3"].values["version"] = None
    three.guard.look("c3")
    await three.settled()
    assert three.serving == "c1 c2"
    assert (three.guard.facts("c3"), three.guard.troubles("c3")) == ({"version": "1"}, {"version": "no answer"})


async def test_a_fault_of_the_guards_own_ends_nothing(house: Make, caplog: pytest.LogCaptureFixture) -> None:
    three = house("221", interval=0.01)
    three.sources["c1"].fault = RuntimeError("a fault")
    await until(lambda: three.sources["c1"].asked > 2)
    assert [record.message for record in caplog.records].count("consistency_failed") >= 2
    three.sources["c1"].fault = None
    await until(lambda: three.serving == "c1 c2")


# --- updates


async def test_the_first_of_many_that_an_operator_updates_stays(house: Make) -> None:
    three = house("111")
    await three.settled()
    for name in ("c1", "c2", "c3"):
        three.pool.drain(three.backend(name))
        three.guard.look(name)
        await three.settled()
        assert three.guard.view()["updating"]
        three.restart(name, "2")
        await three.settled()
        three.pool.ready(three.backend(name))
        three.guard.look(name)
        await three.settled()
        assert three.serving == "c1 c2 c3"
    assert not three.guard.updating
    three.restart("c3", "1")
    await three.settled()
    assert three.serving == "c1 c2", "later the rule holds again"


async def test_a_drain_lets_nobody_in_who_is_kept_out(house: Make) -> None:
    five = house("22221")
    await five.settled()
    five.pool.drain(five.backend("c1"))
    five.guard.look("c1")
    await five.settled()
    assert five.serving == "c2 c3 c4"
    five.pool.ready(five.backend("c1"))
    five.guard.look("c1")
    await five.settled()
    assert (five.serving, five.guard.updating) == ("c1 c2 c3 c4", False)


async def test_nothing_happens_after_its_end(house: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    three = house("222")
    await three.settled()
    await three.guard.stop()
    three.restart("c3", "1")
    await three.settled()
    assert (three.serving, caplog.records) == ("c1 c2 c3", [])


# --- from one process to the next


async def test_what_one_guard_knew_the_next_one_knows(house: Make) -> None:
    """One that is down and was kept out stays so, though the next guard has read nothing of it."""
    old = house("221")
    await old.settled()
    new = house("22?", start=False)
    new.guard.remember(json.loads(json.dumps(old.guard.memory())))
    new.guard.remember({"updating": True, "readings": {"unknown": {"version": ["1", ""]}, "c1": {"other": ["1", ""]}}})
    assert new.guard.updating
    assert new.guard.facts("c2") == {"version": "2"}
    assert new.guard.facts("c3") == {"version": "1"}
    assert new.guard.facts("c1") == {"version": None}


# --- backends come and go


async def test_one_that_joins_is_judged_when_it_is_up_and_one_that_left_has_no_say(house: Make) -> None:
    three = house("221")
    await three.settled()
    three.sources["c4"] = Told(version="1")
    three.pool.apply("dns", [Member("c4", "http://c4:80")])
    three.bring_up("c4")
    await three.settled()
    assert (three.serving, three.guard.facts("c4")) == ("c1 c2 c3 c4", {"version": "1"}), "a tie"
    three.pool.leave("c2")
    await three.settled()
    assert three.backend("c1").inconsistent == "version is 2, most have 1"
    assert three.guard.facts("c2") == {"version": None}
    assert three.guard.troubles("c2") == {}


async def test_one_that_leaves_while_it_is_read_leaves_nothing(house: Make) -> None:
    two = house("22", start=False)
    two.sources["c2"].answers.clear()
    two.first_round.set()
    await until(lambda: two.sources["c2"].asked)
    two.pool.leave("c2")
    two.sources["c2"].answers.set()
    await two.settled()
    assert two.guard.memory()["readings"].keys() == {"c1"}


# --- what is registered


async def test_one_that_was_registered_as_another_version_never_joins(
    house: Make, caplog: pytest.LogCaptureFixture
) -> None:
    two = house("22")
    await two.settled()
    two.registered = {"c3": "1", "c4": "2"}
    for name in two.registered:
        two.pool.join(Member(name, f"http://{name}:80"), "etcd")
        two.bring_up(name)
        assert two.serving == "c1 c2" if name == "c3" else "c1 c2 c4", "before anything else can happen"
    await two.settled()
    assert two.serving == "c1 c2 c4"
    assert two.backend("c3").inconsistent == "version is 1, most have 2"
    assert two.guard.facts("c3") == {"version": "1"}
    assert [record.message for record in caplog.records] == ["facts_differ", "backend_ejected"]


async def test_one_that_registers_anew_as_the_others_is_let_in(house: Make) -> None:
    two = house("22")
    await two.settled()
    two.registered = {"c3": "1"}
    two.pool.join(Member("c3", "http://c3:80"), "etcd")
    await two.settled()
    assert two.backend("c3").inconsistent
    two.registered = {"c3": "2"}
    two.guard.look("c3")  # it is not even up
    await two.settled()
    two.bring_up("c3")
    assert two.serving == "c1 c2 c3"


async def test_while_updating_one_of_another_version_joins(house: Make) -> None:
    """An operator is at work: the first of many that are new is right."""
    two = house("22")
    await two.settled()
    two.pool.drain(two.backend("c1"))
    two.registered = {"c3": "3"}
    two.pool.join(Member("c3", "http://c3:80"), "etcd")
    two.bring_up("c3")
    await two.settled()
    assert two.serving == "c2 c3"


async def test_what_is_registered_counts_beside_what_is_read(house: Make) -> None:
    """It is what the connector's administrator says, and wins."""
    three = house("222", start=False)
    three.registered = {"c3": "1"}
    three.first_round.set()
    await three.settled()
    assert three.serving == "c1 c2"


async def test_one_that_leaves_while_it_waits_for_its_turn_is_no_fault(
    house: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(guard_module, "AT_A_TIME", 1)
    three = house("222", start=False)
    for source in three.sources.values():
        source.answers.clear()
    three.first_round.set()
    await three.settled()
    [first] = [name for name, source in three.sources.items() if source.asked]
    [leaves, stays] = [name for name in three.sources if name != first]
    three.pool.apply("file", [Member(name, f"http://{name}:80") for name in (first, stays)])
    for source in three.sources.values():
        source.answers.set()
    await three.settled()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert three.sources[leaves].asked == 0
    assert three.guard.facts(stays) == {"version": "2"}
