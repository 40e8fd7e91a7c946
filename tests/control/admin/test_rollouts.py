from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from lbproxy.control.admin.rollouts import rollout_routes
from lbproxy.control.etcd import Access, Etcd
from lbproxy.control.fleet.rollouts import Rollouts
from lbproxy.control.rollout.local import LocalRollouts
from tests.control.admin.serving import Client, serving


@pytest.fixture
async def client(etcd_url: str) -> AsyncIterator[Client]:
    etcd = Etcd(Access((etcd_url,)))
    async with serving(rollout_routes(Rollouts(etcd, uuid4().hex, "lb1"))) as client:
        yield client
    await etcd.close()


async def test_a_lock_is_taken_kept_and_given_back(client: Client) -> None:
    told = {"target": "c1", "step": "", "updated": []}
    begun = await client.post("/rollouts/p", json=told)
    ticket = (await begun.json())["ticket"]
    refused = await client.post("/rollouts/p", json=told)
    assert (refused.status, await refused.text()) == (
        409,
        "admin on lb1 rolls out pool p already, at c1; a pool has one rollout at a time\n",
    )
    kept = await client.put(f"/rollouts/p/{ticket}", json={"target": "c2", "updated": ["c1"]})
    assert await kept.json() == {"ticket": ticket}
    assert (await client.delete(f"/rollouts/p/{ticket}?done=true")).status == 200
    assert (await client.post("/rollouts/p", json={})).status == 200


async def test_a_body_that_is_not_as_it_has_to_be(client: Client) -> None:
    for body, why in ((b"{", "the body: "), (b'{"updated": "c1"}', "updated: "), (b'{"mood": 1}', "mood: ")):
        response = await client.post("/rollouts/p", data=body)
        assert response.status == 400
        assert (await response.text()).startswith(why)


async def test_a_balancer_without_a_fleet_keeps_them_itself(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with serving(rollout_routes(LocalRollouts(("p",)))) as client:
        begun = await client.post("/rollouts/p", json={"target": "c1"})
        ticket = (await begun.json())["ticket"]
        refused = await client.post("/rollouts/p", json={}, headers={"Lbproxy-On-Behalf-Of": "otto"})
        why = "admin rolls out pool p already, at c1; a pool has one rollout at a time"
        assert (refused.status, await refused.text()) == (409, f"{why}\n")
        assert (await client.delete("/rollouts/p")).status == 200
        told = await client.put(f"/rollouts/p/{ticket}", json={"target": "c1"})
        assert (told.status, await told.text()) == (409, "the rollout was cancelled by admin\n")
        assert (await client.delete(f"/rollouts/p/{ticket}")).status == 200
    logged = {record.message: vars(record)["fields"] for record in caplog.records}
    assert [*logged] == ["rollout_begun", "rollout_refused", "rollout_cancelled"]
    assert logged["rollout_begun"] == {"pool": "p", "by": "admin"}
    assert (logged["rollout_refused"]["by"], str(logged["rollout_refused"]["why"])) == ("otto via admin", why)
