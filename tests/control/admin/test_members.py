from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import pytest

from lbproxy.control.admin.members import member_routes
from lbproxy.control.admin.peer import BY_ADDRESS
from lbproxy.control.snapshot import InstanceView
from lbproxy.errors import AdminError
from tests.control.admin.serving import Client, serving
from tests.control.sample import backend


class Told:
    """Carries out nothing; `orders` is what was asked for.

    Backends called `no` are refused. Of those called `gone` only orders are left.
    """

    def __init__(self) -> None:
        self.orders: list[tuple[object, ...]] = []

    def _ordered(self, pool: str, name: str, *rest: object) -> InstanceView:
        if name == "no":
            raise AdminError("no is not wanted")
        self.orders.append((pool, name, *rest))
        return {"pool": pool, "backend": backend(name), "others": [], "fleet": None, "killed_generations": 0}

    def add(self, pool: str, name: str, url: str, weight: int, standby: bool, by: str) -> InstanceView:
        return self._ordered(pool, name, url, weight, standby, by)

    def change(
        self, pool: str, name: str, given: Mapping[str, int | bool | None], force: bool, by: str
    ) -> InstanceView | None:
        found = self._ordered(pool, name, dict(given), force, by)
        return None if name == "gone" else found

    def remove(self, pool: str, name: str, force: bool, by: str) -> InstanceView | None:
        found = self._ordered(pool, name, force, by)
        return None if name == "gone" else found

    def shared(self, found: InstanceView) -> InstanceView:
        return {**found, "fleet": {"here_only": "", "replicas": []}}


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def client(told: Told) -> AsyncIterator[Client]:
    async with serving(member_routes(told)) as client:
        yield client


async def test_what_is_put_is_added(client: Client, told: Told) -> None:
    answer = await client.put("/backends/linux/c4", json={"url": "http://c4:80"})
    assert (answer.status, (await answer.json())["backend"]["name"]) == (200, "c4")
    await client.put("/backends/linux/a%2Fb", json={"url": "http://c4:80", "weight": 101, "standby": True})
    assert told.orders == [
        ("linux", "c4", "http://c4:80", 1, False, BY_ADDRESS),
        ("linux", "a/b", "http://c4:80", 101, True, BY_ADDRESS),
    ]


async def test_what_is_not_patched_stays(client: Client, told: Told) -> None:
    for body in ({"weight": 3}, {"standby": None}, {"weight": None, "standby": True}, {}, {"weight": 4.0}):
        assert (await client.patch("/backends/linux/c4", json=body)).status == 200
    assert [order[2] for order in told.orders] == [
        {"weight": 3}, {"standby": None}, {"weight": None, "standby": True}, {}, {"weight": 4},
    ]  # fmt: skip


async def test_only_true_forces(client: Client, told: Told) -> None:
    for query in ("", "?force=true", "?force=no"):
        await client.delete(f"/backends/linux/c4{query}")
        await client.patch(f"/backends/linux/c4{query}", json={})
    assert [order[-2] for order in told.orders] == [False, False, True, True, False, False]


@pytest.mark.parametrize(
    ("method", "body", "problem"),
    [
        ("PUT", b"", "the body: Invalid JSON"),
        ("PUT", b"[]", "the body: Input should be"),
        ("PUT", b"{}", "url: Field required"),
        ("PUT", b'{"url": "http://c4", "weigth": 3}', "weigth: Extra inputs are not permitted"),
        ("PUT", b'{"url": "http://c4", "weight": 3.5}', "weight: Input should be a valid integer"),
        ("PUT", b'{"url": "http://c4", "weight": "3"}', "weight: Input should be a valid integer"),
        ("PUT", b'{"url": "http://c4", "standby": 1}', "standby: Input should be a valid boolean"),
        ("PATCH", b'{"weight": true}', "weight: Input should be a valid integer"),
        ("PATCH", b'{"url": "http://c4"}', "url: Extra inputs are not permitted"),
    ],
)
async def test_a_body_that_is_not_as_it_has_to_be(
    client: Client, told: Told, method: str, body: bytes, problem: str
) -> None:
    answer = await client.request(method, "/backends/linux/c4", data=body)
    text = await answer.text()
    assert (answer.status, text[: len(problem)], text[-1], told.orders) == (400, problem, "\n", [])


async def test_a_refusal_is_one_sentence(client: Client) -> None:
    for answer in (
        await client.put("/backends/linux/no", json={"url": "http://c4:80"}),
        await client.patch("/backends/linux/no", json={}),
        await client.delete("/backends/linux/no"),
    ):
        assert (answer.status, await answer.text()) == (409, "no is not wanted\n")


async def test_what_is_done_to_orders_without_a_backend_has_no_body(client: Client, told: Told) -> None:
    for answer in (
        await client.patch("/backends/linux/gone", json={"weight": None}),
        await client.delete("/backends/linux/gone"),
    ):
        assert (answer.status, await answer.text()) == (204, "")
    assert [order[:2] for order in told.orders] == [("linux", "gone")] * 2


async def test_whoever_counts_knows_the_order_before_it_is_answered(told: Told) -> None:
    seen: list[int] = []

    async def count() -> None:
        seen.append(len(told.orders))

    async with serving(member_routes(told, count)) as client:
        assert (await client.put("/backends/linux/c4", json={"url": "http://c4:80"})).status == 200
        assert (await client.delete("/backends/linux/no")).status == 409
        assert (await client.delete("/backends/linux/c4")).status == 200
    assert seen == [1, 2]


async def test_web_pages_change_nothing(client: Client, told: Told) -> None:
    for method in ("PUT", "PATCH", "DELETE"):
        answer = await client.request(method, "/backends/linux/c4", headers={"Origin": "https://evil.example"})
        assert answer.status == 403
    assert told.orders == []
