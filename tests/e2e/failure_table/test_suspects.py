"""Backends that are suspected only, where the table cannot say it: one that is slow, and the last one in rotation."""

from __future__ import annotations

from typing import Any

from .ask import ASKS
from .case import Case
from .faults import closes, waits
from .page import page
from .rows import Charge, Row, Sees
from .stage import stage

ASKED: dict[str, Any] = {
    "check": {"kind": "http", "path": "/healthz", "interval": "1h", "timeout": "300ms", "fall": 3},
    "retry_budget": "100%",
}
"""There are no probes but those that a suspicion asks for."""

SLOW = Row("is slow", Sees.OWN, Sees.OWN, Charge.NOTHING, "response_slow", b"", waits)
LAST = Row("closes", Sees.BAD_GATEWAY, Sees.BAD_GATEWAY, Charge.NOTHING, "lane_lost", b"", closes)


async def test_one_that_takes_longer_than_check_timeout_is_probed_meanwhile() -> None:
    """The probe is good, so every request goes on waiting for the answer, and gets it."""
    async with stage(**ASKED) as on:
        for case in (Case(SLOW, ask, "fresh") for ask in ASKS if ask.body == "no body"):
            async with await on.balancer.connect() as client:
                await on.set(case, client)
                await case.ask.send(client, case.target)
                await on.first.until(lambda: on.first.probes)
                on.first.go.set()
                response = await client.response()
                assert response.raw + response.body == on.first.answer
            await on.settle()
        assert (await on.health())["ejections"] == 0


async def test_the_last_one_is_not_ejected_for_what_became_of_a_request() -> None:
    """One user could repeat such a request until no backend is left."""
    async with stage(**ASKED) as on:
        for name in ("c2", "c3"):
            assert (await on.balancer.admin(f"/backends/{name}/drain", "POST")).status == 200
        for case in (Case(LAST, ask, "fresh") for ask in ASKS):
            on.first.begin(case)
            async with await on.balancer.connect() as client:
                await case.ask.send(client, case.target)
                response = await client.response()
                assert response.raw + response.body == page(502, "lane_lost")
            assert len(on.got()[0]) == 1
            await on.first.until(lambda: on.first.probes)
        health = await on.health()
        assert (health["state"], health["ejections"], health["errors"]) == ("up", 0, len(ASKS))
        assert len(await on.balancer.accessed(len(ASKS), reason="lane_lost", tries=1)) == len(ASKS)
