from __future__ import annotations

import asyncio
import re

import pytest

from lbproxy.control.fleet.views import InstanceInFleetView
from lbproxy.control.rollout.plan import Target, plan
from lbproxy.control.rollout.runner import Conditions, Rollout, Step
from lbproxy.control.snapshot import BackendView, InstanceView, PoolView
from lbproxy.errors import AdminError, RolloutError
from tests.control.sample import backend, pool, snapshot

OLD: dict[str, str | None] = {"version": "1.7.9"}
NEW: dict[str, str | None] = {"version": "1.8.0"}


class Site:
    """A pool of c1, c2 and c3, its balancer, the operator's command, and whoever watches the rollout; all in memory.

    `story` is what happened, in order. A drained backend finishes one of `busy` requests a look; one that was updated
    comes back at the `slow`th look. The command fails for those in `broken`, and hangs for `hanging`; `dying` dies when
    another one is ready; `lost` is the request of the rollout that the balancer does not answer.
    """

    def __init__(
        self, busy: int = 0, slow: int = 0, broken: str = "", hanging: str = "", dying: str = "", lost: str = ""
    ) -> None:
        self.views = {name: backend(name) | {"active": 0, "private_lanes": 0} for name in ("c1", "c2", "c3")}
        for view in self.views.values():
            view["facts"] = OLD
        self.raw: dict[str, BackendView] = {}  # backends of the same names in another pool
        self.story: list[str] = []
        self.waits_seen: list[str] = []
        self.busy = busy
        self.slow = slow
        self.broken = broken
        self.hanging = hanging
        self.dying = dying
        self.lost = lost
        self.lb2: list[str] = []  # at each look at c1 once it is ready: what is missing on lb2; the last one stays
        self.spare_there = 2  # in rotation on lb2, besides the target
        self.began = asyncio.Event()  # a command that hangs ...
        self.go_on = asyncio.Event()  # ... until then
        self._looks = 0

    def rollout(self, start: str | None = None, **conditions: object) -> Rollout:
        rules = Conditions(**conditions)  # type: ignore[arg-type]
        view = snapshot() | {"pools": self._pools()}
        targets = plan(view, view["pools"][0], start, rules.keep)
        return Rollout(targets, self, self.update, self, rules, pause=0)

    def _pools(self) -> list[PoolView]:
        raw = [pool("raw", *self.raw.values())] if self.raw else []
        return [pool("connectors", *self.views.values()), *raw]

    def never_two_at_a_time(self) -> None:
        assert sum(not view["in_rotation"] for view in self.views.values()) <= 1

    # --- the balancer

    async def pools(self, target: Target) -> list[PoolView]:
        return [pool for pool in self._pools() if any(one["name"] == target.name for one in pool["backends"])]

    async def instance(self, target: Target) -> InstanceView:
        raw = self.raw.get(target.name)
        return {
            "pool": "connectors",
            "backend": self._look(self.views[target.name]),
            "others": [] if raw is None else [{"pool": "raw", "backend": self._look(raw)}],
            "fleet": self._fleet(target.name) if self.lb2 else None,
            "killed_generations": 0,
        }

    def _fleet(self, name: str) -> InstanceInFleetView:
        what = self.lb2[0] if name == "c1" and "c1 ready" in self.story else ""
        if what and len(self.lb2) > 1:
            self.lb2.pop(0)
        missing, down = ("", ["connectors"]) if what == "down" else (what, [])
        return {
            "here_only": "",
            "replicas": [
                {
                    "replica": "lb2",
                    "what": missing,
                    "silent": False,
                    "gone": False,
                    "down": down,
                    "spare": {"connectors": self.spare_there},
                }
            ],
        }

    def _look(self, view: BackendView) -> BackendView:
        self.never_two_at_a_time()
        if view["active"]:
            view["active"] -= 1
        elif view["state"] == "down":
            self._looks += 1
            if self._looks > self.slow:
                view["state"] = "up"
        elif view["probe"] is None or view["probe"]["age_seconds"] == 0:  # its probes go on after the command
            view["probe"] = {"ok": True, "detail": "200", "reason": None, "took_seconds": 0.0, "age_seconds": 0.0}
        return view

    async def drain(self, target: Target, force: bool) -> None:
        self.story.append(f"{target.name} {'forced' if force else 'drained'}")
        for views in (self.views, self.raw):
            if target.name in views:
                views[target.name].update({"draining": True, "in_rotation": False, "active": self.busy})

    async def ready(self, target: Target) -> None:
        self.story.append(f"{target.name} ready")
        if self.lost == "ready":
            raise AdminError("lbproxy is not running")
        for views in (self.views, self.raw):
            if target.name in views:
                views[target.name].update({"draining": False, "in_rotation": True})
        if self.dying:
            self.views[self.dying].update({"state": "down", "in_rotation": False})

    # --- the command

    async def update(self, target: Target) -> None:
        self.story.append(f"{target.name} updated")
        for view in filter(None, (self.views[target.name], self.raw.get(target.name))):
            assert (view["in_rotation"], view["active"]) == (False, 0)
            view.update({"state": "down", "probe": None})
        self.views[target.name]["facts"] = OLD if target.name in self.broken else NEW
        self._looks = 0
        if target.name in self.hanging:
            self.began.set()
            await self.go_on.wait()
        if target.name in self.broken:
            raise RolloutError("the command ended with status 3")

    # --- who watches

    def done(self, target: Target, what: str) -> None:
        self.story.append(f"{target.name}: {re.sub(r' in [0-9.]+ s', '', what)}")

    def waits(self, target: Target, what: str) -> None:
        self.waits_seen.append(f"{target.name}: {what}")


STEPS = [
    "{} drained",
    "{}: drained, and nothing left to finish",
    "{} updated",
    "{}: command done",
    "{}: healthy",
    "{} ready",
    "{}: in rotation",
]


def steps(*names: str) -> list[str]:
    return [step.format(name) for name in names for step in STEPS]


async def test_one_after_the_other() -> None:
    site = Site()
    rollout = site.rollout()
    await rollout.run()
    assert site.story == steps("c1", "c2", "c3")
    assert [target.name for target in rollout.updated] == ["c1", "c2", "c3"]
    assert all(view["in_rotation"] and view["facts"] == NEW for view in site.views.values())
    assert rollout.left() == "every backend was updated"


async def test_begins_where_it_is_told() -> None:
    site = Site()
    await site.rollout("c2").run()
    assert site.story == steps("c2", "c3")


async def test_waits_until_nothing_is_left_to_finish() -> None:
    site = Site(busy=3)
    await site.rollout().run()
    waits = [what for what in site.waits_seen if what.startswith("c1")]
    assert waits[:3] == ["c1: 2 requests to finish", "c1: 1 request to finish", "c1: its command"]


async def test_waits_for_a_good_probe() -> None:
    site = Site(slow=2)
    await site.rollout().run()
    waits = [what for what in site.waits_seen if what.startswith("c2")]
    assert waits[:3] == ["c2: its command", "c2: its next probe", "c2: its next probe"]
    assert site.story == steps("c1", "c2", "c3")


async def test_waits_for_the_facts() -> None:
    site = Site()
    await site.rollout(expected=NEW).run()
    assert "c3: healthy, version is 1.8.0" in site.story


async def test_a_fact_that_does_not_come_stops_it() -> None:
    site = Site()
    with pytest.raises(RolloutError) as stop:
        await site.rollout(expected={"version": "1.9.0"}, timeout=0.3).run()
    assert str(stop.value).splitlines()[:2] == [
        "connectors/c1: it took longer than 0.3 s, waiting for version to be 1.9.0 (it is 1.8.0)",
        "connectors/c1 stays drained; its command has run",
    ]
    assert (site.views["c1"]["draining"], site.views["c2"]["in_rotation"]) == (True, True)


async def test_the_first_failure_stops_it_with_the_others_serving() -> None:
    site = Site(broken="c2")
    rollout = site.rollout()
    with pytest.raises(RolloutError) as stop:
        await rollout.run()
    assert str(stop.value).splitlines() == [
        "connectors/c2: the command ended with status 3",
        "connectors/c2 stays drained; its command did not end well",
        "updated: c1",
        "not touched: c3",
        "to go on: the same command with --from c2, which updates it again",
        "or, if it is right by now: lbproxy ready c2, and the same command with --from c3",
    ]
    assert {name: view["in_rotation"] for name, view in site.views.items()} == {"c1": True, "c2": False, "c3": True}
    assert site.story == [*steps("c1"), *steps("c2")[:3]]
    assert repr(rollout) == "<rollout of 3, 1 updated, the next one COMMAND>"


async def test_it_goes_on_from_where_it_stopped() -> None:
    site = Site(broken="c2")
    with pytest.raises(RolloutError):
        await site.rollout().run()
    site.broken, site.story = "", []
    await site.rollout("c2").run()
    assert site.story == steps("c2", "c3")


async def test_others_that_fail_meanwhile_stop_it_before_the_next_is_drained() -> None:
    site = Site(dying="c3")
    with pytest.raises(RolloutError) as stop:
        await site.rollout(keep=2).run()
    assert str(stop.value).splitlines() == [
        "connectors/c2: without c2, pool connectors has 1 in rotation (c1); 2 must stay",
        "connectors/c2 was not touched",
        "updated: c1",
        "not touched: c3",
        "to go on: the same command with --from c2",
    ]


async def test_a_command_that_hangs_is_cancelled_in_time() -> None:
    site = Site(hanging="c1")
    with pytest.raises(RolloutError) as stop:
        await site.rollout(timeout=0.3).run()
    assert str(stop.value).splitlines()[:2] == [
        "connectors/c1: it took longer than 0.3 s, waiting for its command",
        "connectors/c1 stays drained; its command did not end well",
    ]


async def test_requests_that_never_end_stop_it_before_the_command_is_run() -> None:
    site = Site(busy=10**9)
    with pytest.raises(RolloutError) as stop:
        await site.rollout(timeout=0.3).run()
    assert re.match(r"connectors/c1: it took longer than 0.3 s, waiting for \d+ requests to finish", str(stop.value))
    assert str(stop.value).splitlines()[1:] == [
        "connectors/c1 stays drained; its command was not run",
        "not touched: c2, c3",
        "to go on: the same command with --from c1",
        "to leave it as it was: lbproxy ready c1",
    ]
    assert site.story == ["c1 drained"]


async def test_cancelled_it_can_say_what_it_leaves() -> None:
    site = Site(hanging="c2")
    rollout = site.rollout()
    task = asyncio.create_task(rollout.run())
    await site.began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rollout.left().splitlines()[:3] == [
        "connectors/c2 stays drained; its command did not end well",
        "updated: c1",
        "not touched: c3",
    ]


async def test_the_last_one_leaves_nothing_to_go_on_with() -> None:
    site = Site(dying="c3")
    with pytest.raises(RolloutError) as stop:
        await site.rollout("c3", timeout=0.3).run()
    assert str(stop.value).splitlines() == [
        "connectors/c3: it took longer than 0.3 s, waiting for rotation",
        "connectors/c3 was updated and made ready, but is not wholly in rotation yet",
    ]


async def test_a_balancer_that_is_gone_stops_it() -> None:
    with pytest.raises(RolloutError) as stop:
        await Site(lost="ready").rollout().run()
    assert str(stop.value).splitlines()[0] == "connectors/c1: lbproxy is not running"


async def test_keeping_nobody_forces_the_last_one_out() -> None:
    site = Site()
    del site.views["c2"], site.views["c3"]
    await site.rollout(keep=0).run()
    assert site.story[0] == "c1 forced"


async def test_the_next_one_waits_until_other_replicas_have_this_one_back() -> None:
    """Where c1 is still down, c2 may be all that there is."""
    site = Site()
    site.lb2 = ["has not applied the order", "down", ""]
    await site.rollout().run()
    assert [what for what in site.waits_seen if "lb2" in what] == [
        "c1: lb2: has not applied the order", "c1: lb2: rotation (down there)"
    ]  # fmt: skip
    assert site.story == steps("c1", "c2", "c3")


async def test_a_replica_that_does_not_get_it_back_stops_it() -> None:
    site = Site()
    site.lb2 = ["down"]
    with pytest.raises(RolloutError) as stop:
        await site.rollout(timeout=0.3).run()
    assert str(stop.value).splitlines()[:2] == [
        "connectors/c1: it took longer than 0.3 s, waiting for lb2: rotation (down there)",
        "connectors/c1 was updated and made ready, but is not wholly in rotation yet",
    ]
    assert "c2 drained" not in site.story


def test_nothing_is_left_behind_before_it_began() -> None:
    rollout = Site().rollout()
    assert rollout.step is Step.UNTOUCHED
    assert rollout.left().splitlines() == [
        "connectors/c1 was not touched",
        "not touched: c2, c3",
        "to go on: the same command with --from c1",
    ]


async def test_an_instance_is_out_of_all_its_pools_while_it_is_updated() -> None:
    """Two pools over the same instances: the command must not cut what the other one has open."""
    site = Site(busy=2)
    site.raw = {name: backend(name) | {"active": 0, "private_lanes": 0} for name in ("c1", "c2")}
    await site.rollout().run()  # `update` asserts that nothing is open in either
    assert site.story == steps("c1", "c2", "c3")
    assert all(view["in_rotation"] and not view["draining"] for view in (*site.views.values(), *site.raw.values()))


async def test_it_is_not_ready_before_every_pool_finds_it_healthy() -> None:
    site = Site()
    site.raw = {"c1": backend("c1") | {"active": 0, "private_lanes": 0}, "c2": backend("c2")}
    site.slow = 10**9
    with pytest.raises(RolloutError) as stop:
        await site.rollout(timeout=0.3).run()
    waited = "waiting for pool connectors: its next probe; pool raw: its next probe"
    assert str(stop.value).splitlines()[0] == f"connectors/c1: it took longer than 0.3 s, {waited}"


async def test_facts_are_those_of_the_pool_that_is_rolled_out() -> None:
    site = Site()
    site.raw = {name: backend(name) | {"active": 0, "private_lanes": 0} for name in ("c1", "c2")}
    rollout = site.rollout(expected=NEW)
    await rollout.run()
    assert "c1: healthy, version is 1.8.0" in site.story


async def test_another_replica_must_be_able_to_do_without_it_too() -> None:
    site = Site()
    site.lb2, site.spare_there = [""], 0
    with pytest.raises(RolloutError, match="without c1, pool connectors has 0 in rotation on lb2; 1 must stay"):
        await site.rollout().run()
    assert site.story == []
    await site.rollout(keep=0).run()


async def test_a_stop_lets_a_command_end_and_does_nothing_after_it() -> None:
    site = Site(hanging="c1")
    rollout = site.rollout()
    running = asyncio.ensure_future(rollout.run())
    await site.began.wait()
    rollout.stop("the lock is lost")
    assert site.waits_seen[-1] == "c1: its command, after which the rollout stops: the lock is lost"
    site.go_on.set()
    with pytest.raises(RolloutError) as raised:
        await running
    assert str(raised.value).splitlines()[:2] == [
        "connectors/c1: the lock is lost",
        "connectors/c1 stays drained; its command has run",
    ]
    assert site.story[-1] == "c1: command done"


async def test_a_stop_before_anything_was_drained() -> None:
    site = Site()
    rollout = site.rollout()
    rollout.stop("the lock is lost")
    with pytest.raises(RolloutError, match="connectors/c1: the lock is lost"):
        await rollout.run()
    assert site.story == []
