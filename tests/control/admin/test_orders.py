from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientResponse

from lbproxy.control.admin.orders import order_routes
from tests.control.admin.pool import BareBackends
from tests.control.admin.serving import Client, serving


@pytest.fixture
def backends() -> BareBackends:
    return BareBackends("c1", "c2")


@pytest.fixture
async def client(backends: BareBackends) -> AsyncIterator[Client]:
    async with serving(order_routes(backends)) as client:
        yield client


async def state(response: ClientResponse) -> tuple[str, bool]:
    answer = await response.json()
    return f"{answer['pool']}/{answer['backend']['name']}", answer["backend"]["draining"]


async def test_a_backend_is_shown(client: Client) -> None:
    assert await state(await client.get("/backends/c1")) == ("connectors/c1", False)


async def test_a_backend_is_drained_and_made_ready(client: Client, backends: BareBackends) -> None:
    assert await state(await client.post("/backends/c1/drain")) == ("connectors/c1", True)
    assert await state(await client.get("/backends/c1")) == ("connectors/c1", True)
    assert await state(await client.post("/backends/c1/ready")) == ("connectors/c1", False)
    assert backends.orders == ["drain c1", "ready c1"]


async def test_a_name_may_have_its_pool(client: Client, backends: BareBackends) -> None:
    assert await state(await client.post("/backends/connectors/c2/drain")) == ("connectors/c2", True)
    assert await state(await client.get("/backends/connectors/c2")) == ("connectors/c2", True)


@pytest.mark.parametrize(("query", "order"), [("", "drain c1"), ("?force=true", "force c1"), ("?force=no", "drain c1")])
async def test_only_true_forces(client: Client, backends: BareBackends, query: str, order: str) -> None:
    await client.post(f"/backends/c1/drain{query}")
    assert backends.orders == [order]


@pytest.mark.parametrize("path", ["/backends/c9", "/backends/a/c1"])
async def test_a_refusal_is_one_sentence(client: Client, path: str) -> None:
    name = path.removeprefix("/backends/")
    for response in (await client.get(path), await client.post(f"{path}/drain"), await client.post(f"{path}/ready")):
        assert (response.status, await response.text()) == (409, f"no backend is called {name}\n")


async def test_an_order_for_a_name_without_a_backend_is_taken_back(client: Client, backends: BareBackends) -> None:
    backends.waiting.add("c9")
    response = await client.post("/backends/c9/ready")
    assert (response.status, await response.text(), backends.orders) == (204, "", ["ready c9"])


async def test_an_order_is_answered_though_the_backend_has_left_since(backends: BareBackends) -> None:
    """It was carried out: 409 would say that nothing was changed."""

    async def leave() -> None:
        backends.views.clear()

    async with serving(order_routes(backends, leave)) as client:
        answer = await client.post("/backends/c1/drain")
        assert (answer.status, await state(answer)) == (200, ("connectors/c1", True))
        assert (await client.post("/backends/c1/drain")).status == 409
    assert backends.orders == ["drain c1"]


async def test_reading_changes_nothing(client: Client, backends: BareBackends) -> None:
    assert (await client.get("/backends/c1/drain")).status == 409  # that is a backend "drain" of a pool "c1"
    assert backends.orders == []


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}])
async def test_web_pages_give_no_orders(client: Client, backends: BareBackends, headers: dict[str, str]) -> None:
    for order in ("drain", "ready"):
        assert (await client.post(f"/backends/c1/{order}", headers=headers)).status == 403
    assert backends.orders == []
