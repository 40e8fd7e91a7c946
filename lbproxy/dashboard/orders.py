"""What operators can order, and what each order says before it is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from lbproxy.control.draining import unfinished
from lbproxy.control.snapshot import BackendView, PoolView, Snapshot
from lbproxy.control.wording import begun_by
from lbproxy.dashboard import words
from lbproxy.dashboard.balancer import Balancer
from lbproxy.dashboard.pages import Missing, link
from lbproxy.errors import AdminError

HIGHEST_WEIGHT = 100


class Question(NamedTuple):
    """What is asked before an order is given.

    stays: how many backends stay in rotation, if the order takes one out: with fewer than that, it is asked again.
    weight: the one that there is, where another one is asked for. back: where to go on.
    """

    title: str
    consequences: list[str]
    button: str
    back: str
    stays: int | None = None
    weight: int | None = None


Given = Mapping[str, str]
"""The fields of the form that was sent."""

Give = Callable[[Balancer, tuple[str, ...], Given, str], Awaitable[str]]


class Order(NamedTuple):
    """ask raises Missing where there is nothing to order. give returns what was done, and raises AdminError.

    loses: whether a form with these fields takes a backend out of rotation.
    """

    ask: Callable[[Snapshot, tuple[str, ...]], Question]
    give: Give
    loses: Callable[[Given], bool] = lambda _: False


def _find(snapshot: Snapshot, parts: tuple[str, ...]) -> tuple[PoolView, BackendView]:
    found = words.find(snapshot, *parts)
    if found is None:
        raise Missing
    return found


def _others_drained(snapshot: Snapshot) -> list[str]:
    return ["Every replica of the fleet does the same."] if snapshot["fleet"] is not None else []


def _ask_drain(snapshot: Snapshot, parts: tuple[str, ...]) -> Question:
    pool, backend = _find(snapshot, parts)
    staying = words.staying(pool, backend["name"])
    left = (
        unfinished({"pool": pool["name"], "backend": backend, "others": [], "fleet": None, "killed_generations": 0})
        or "nothing"
    )
    consequences = [
        f"{backend['name']} gets no new work. It has {left} to finish.",
        f"{staying}.",
        *_others_drained(snapshot),
    ]
    return Question(
        f"Drain {backend['name']} of pool {pool['name']}?",
        consequences,
        f"Drain {backend['name']}",
        link("pools", *parts),
        staying.stay,
    )


async def _drain(balancer: Balancer, parts: tuple[str, ...], given: Given, by: str) -> str:
    after = await balancer.drain(parts[0], parts[1], given.get("force") == "yes", by)
    return f"{parts[1]} is drained; {unfinished(after) or 'nothing'} to finish."


def _ask_ready(snapshot: Snapshot, parts: tuple[str, ...]) -> Question:
    pool, backend = _find(snapshot, parts)
    inside = sum(one["in_rotation"] for one in pool["backends"])
    healthy = "comes back into rotation" if backend["state"] == "up" else "comes back once its probe passes"
    consequences = [
        f"{backend['name']} {healthy}. {inside} of {len(pool['backends'])} are in rotation now.",
        *_others_drained(snapshot),
    ]
    name = backend["name"]
    return Question(
        f"Make {name} of pool {pool['name']} ready?", consequences, f"Make {name} ready", link("pools", *parts)
    )


async def _ready(balancer: Balancer, parts: tuple[str, ...], _: Given, by: str) -> str:
    after = await balancer.ready(parts[0], parts[1], by)
    return f"{parts[1]} is ready." if after else f"No backend is called {parts[1]} now; its drain has ended."


def _ask_weight(snapshot: Snapshot, parts: tuple[str, ...]) -> Question:
    pool, backend = _find(snapshot, parts)
    total = sum(one["weight"] for one in pool["backends"] if one["in_rotation"])
    staying = words.staying(pool, backend["name"])
    consequences = [
        f"{backend['name']} has weight {backend['weight']} of {total} in rotation: its part of the turns.",
        f"With weight 0 it gets no new work. {staying} then.",
        *_others_drained(snapshot),
    ]
    return Question(
        f"Change the weight of {backend['name']} of pool {pool['name']}?",
        consequences,
        "Change the weight",
        link("pools", *parts),
        staying.stay,
        backend["weight"],
    )


async def _weigh(balancer: Balancer, parts: tuple[str, ...], given: Given, by: str) -> str:
    text = given.get("weight", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= HIGHEST_WEIGHT):
        raise AdminError(f"The weight is a whole number from 0 to {HIGHEST_WEIGHT}.")
    await balancer.weigh(parts[0], parts[1], int(text), given.get("force") == "yes", by)
    return f"{parts[1]} has weight {int(text)}."


def _ask_reload(snapshot: Snapshot, _: tuple[str, ...]) -> Question:
    configuration = snapshot["configuration"]
    open_now = sum(one["connections"] for one in snapshot["listeners"])
    consequences = [
        f"{configuration['file']} is read again. If there is a mistake in it, what is served now is served on.",
        f"{open_now} client connections are open: they may finish within {snapshot['drain_timeout_seconds']:g} s.",
    ]
    return Question("Reload the configuration?", consequences, "Reload", "")


async def _reload(balancer: Balancer, _: tuple[str, ...], __: Given, by: str) -> str:
    await balancer.reload(by)
    return "The configuration as it is now is served."


def _ask_cancel(snapshot: Snapshot, parts: tuple[str, ...]) -> Question:
    found = [one for one in snapshot.get("rollouts", []) if one["pool"] == parts[0]]
    if not found:
        raise Missing
    [rollout] = found
    updated = ", ".join(rollout["updated"]) or "none"
    if not rollout["held"]:
        consequences = ["It has stopped already. How far it came is forgotten.", f"Updated: {updated}."]
        return Question(f"Forget the rollout of pool {parts[0]}?", consequences, "Forget it", "rollouts")
    consequences = [
        f"The command of {begun_by(rollout)} stops within seconds.",
        f"Updated: {updated}. {rollout['target'] or 'The next one'} stays as it is then, perhaps drained.",
    ]
    return Question(f"Cancel the rollout of pool {parts[0]}?", consequences, "Cancel the rollout", "rollouts")


async def _cancel(balancer: Balancer, parts: tuple[str, ...], _: Given, by: str) -> str:
    await balancer.cancel_rollout(parts[0], by)
    return f"The rollout of pool {parts[0]} is told to stop."


def _ask_kick(_: Snapshot, parts: tuple[str, ...]) -> Question:
    """Connections are not in the snapshot: one that has gone meanwhile is said when it is ordered."""
    consequences = [
        "A request under way is cut off. A browser opens another connection, and signs in again.",
        "No other connection is touched: an ID is never used again.",
    ]
    return Question(f"End connection {parts[0]}?", consequences, "End it", "connections")


async def _kick(balancer: Balancer, parts: tuple[str, ...], _: Given, by: str) -> str:
    await balancer.kick(parts[0], by)
    return f"Connection {parts[0]} has ended."


def _weighs_nothing(given: Given) -> bool:
    return given.get("weight", "").strip("0") == ""


ORDERS: dict[str, Order] = {
    "/pools/{pool}/{backend}/drain": Order(_ask_drain, _drain, lambda _: True),
    "/pools/{pool}/{backend}/ready": Order(_ask_ready, _ready),
    "/pools/{pool}/{backend}/weight": Order(_ask_weight, _weigh, _weighs_nothing),
    "/reload": Order(_ask_reload, _reload),
    "/connections/{id}/kick": Order(_ask_kick, _kick),
    "/rollouts/{pool}/cancel": Order(_ask_cancel, _cancel),
}
"""By their path; its parts are what an order is about."""
