"""The routes of leaving, with a host that does as it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from lbproxy.control.admin.leave import leave_routes
from lbproxy.control.snapshot import LeaveView, Snapshot
from lbproxy.errors import AdminError
from tests.control.admin.serving import Client, serving
from tests.control.sample import snapshot


class Stays:
    """A host with one virtual address that stays where it is; `told` is what was asked of it."""

    def __init__(self) -> None:
        self.leaving = False
        self.ending = False
        self.told: list[str] = []

    def view(self) -> LeaveView:
        return {"leaving": self.leaving, "over": False, "here": ["192.0.2.10"], "elsewhere": [], "connections": 3}

    def leave(self, within: float | None, by: str) -> LeaveView:
        self.told.append(f"leave {within} {by}")
        self.leaving = True
        return self.view()

    def cancel(self, by: str) -> LeaveView:
        if self.ending:
            raise AdminError("lbproxy ends")
        self.told.append(f"cancel {by}")
        self.leaving = False
        return self.view()

    def asked(self) -> None:
        self.told.append("asked")


@pytest.fixture
def host() -> Stays:
    return Stays()


@pytest.fixture
async def client(host: Stays) -> AsyncIterator[Client]:
    def seen() -> Snapshot:
        return {**snapshot(), "state": "leaving" if host.leaving else "serving"}

    async with serving(leave_routes(host, seen)) as client:
        yield client


async def test_it_leaves_and_takes_that_back(client: Client, host: Stays) -> None:
    assert (await (await client.get("/leave")).json())["leaving"] is False
    assert await (await client.post("/leave")).json() == host.view()
    assert host.leaving
    assert await (await client.delete("/leave")).json() == host.view()
    assert not host.leaving
    assert host.told == ["leave None admin", "cancel admin"]


async def test_what_cannot_be_taken_back(client: Client, host: Stays) -> None:
    host.ending = True
    response = await client.delete("/leave")
    assert (response.status, await response.text()) == (409, "lbproxy ends\n")


async def test_the_time_may_be_given(client: Client, host: Stays) -> None:
    await client.post("/leave?timeout=2.5")
    assert host.told == ["leave 2.5 admin"]


@pytest.mark.parametrize("wrong", ["", "soon", "-1", "nan", "inf", "86401"])
async def test_what_is_no_time(client: Client, host: Stays, wrong: str) -> None:
    response = await client.post(f"/leave?timeout={wrong}")
    assert (response.status, await response.text()) == (400, "timeout: not a number of seconds\n")
    assert host.told == []


async def test_health_is_readiness_and_the_asker_is_heard(client: Client, host: Stays) -> None:
    response = await client.post("/health")
    assert (response.status, await response.text()) == (200, "ok\n")
    await client.post("/leave")
    response = await client.post("/health")
    assert (response.status, await response.text()) == (503, "lbproxy is leaving\n")
    assert host.told == ["asked", "leave None admin", "asked"]


async def test_health_is_a_post(client: Client, host: Stays) -> None:
    assert (await client.get("/health")).status == 405
    assert host.told == []
