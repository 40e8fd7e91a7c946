from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lbproxy.balance.belief import Rules
from lbproxy.balance.member import Member
from lbproxy.control.discovery.discovery import Discovery
from lbproxy.control.discovery.kubernetes_source import KubernetesSource
from lbproxy.control.discovery.source import SourceError
from lbproxy.control.kubernetes import PodAccount
from tests.control.kubernetes.api_server import ApiServer, endpoint, endpoint_slice, terminating

WITHIN = 30.0  # seconds


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ApiServer]:
    folder = tmp_path / "server"
    folder.mkdir()
    async with ApiServer(folder) as server:
        yield server


@pytest.fixture
async def source(server: ApiServer, tmp_path: Path) -> AsyncIterator[KubernetesSource]:
    account = PodAccount(tmp_path, server.mount(tmp_path))
    source = KubernetesSource(account, "connectors", "http", "http")
    yield source
    await source.stop()


class Pool:
    """What discovery wants it to have."""

    def __init__(self) -> None:
        self.members: tuple[Member, ...] = ()
        self.changed = asyncio.Condition()
        self.telling: set[asyncio.Task[None]] = set()

    def apply(self, source: str, members: tuple[Member, ...]) -> tuple[str, ...]:
        assert source == "kubernetes"
        self.members = members
        self.telling.add(asyncio.create_task(self._tell()))
        return ()

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def has(self, *names: str) -> None:
        async with asyncio.timeout(WITHIN), self.changed:
            await self.changed.wait_for(lambda: [member.name for member in self.members] == [*names])


@pytest.fixture
async def discovery(source: KubernetesSource) -> AsyncIterator[tuple[Discovery, Pool]]:
    pool = Pool()
    discovery = Discovery("connectors", source, pool.apply, 30.0, Rules("keep", 3600.0))
    discovery.start()
    yield discovery, pool
    await discovery.stop()


def three(*, port: int = 4000) -> list[dict[str, object]]:
    return [endpoint(name, f"10.0.0.{number}") for number, name in enumerate("abc", 1)]


async def test_pods_of_the_service_are_members(server: ApiServer, source: KubernetesSource) -> None:
    server.put(endpoint_slice("c-1", *three()))
    await source.start()
    answer = await source.look()
    assert answer.members[0] == Member("a", "http://10.0.0.1:4000")
    assert len(answer.members) == 3
    assert server.asked[0].query["labelSelector"] == "kubernetes.io/service-name=connectors"
    assert source.where == "own namespace/connectors, http, port http, by the pod's account"
    assert server.token not in repr(source) + source.where


async def test_a_change_ends_the_wait(server: ApiServer, source: KubernetesSource) -> None:
    await source.start()
    assert (await source.look()).members == ()
    waiting = asyncio.create_task(source.wait(3600.0))
    server.put(endpoint_slice("c-1", *three()))
    async with asyncio.timeout(WITHIN):
        await waiting
    assert len((await source.look()).members) == 3


async def test_an_answer_that_is_doubted_is_listed_again(server: ApiServer, source: KubernetesSource) -> None:
    await source.start()
    await source.look()
    await source.look()
    assert len(server.of("list")) == 1
    await source.look(again=True)
    assert len(server.of("list")) == 2


async def test_rights_that_are_missing_are_named(server: ApiServer, source: KubernetesSource) -> None:
    await source.start()
    for verbs in (set[str](), {"list"}):
        server.verbs = verbs
        with pytest.raises(SourceError) as error:
            await source.look()
        assert str(error.value).endswith(
            "; a Role in the namespace login has to allow the verbs list and watch for endpointslices of the API group"
            " discovery.k8s.io, and a RoleBinding has to give it to the account"
        )
        assert "secret" not in str(error.value)
    server.verbs = {"list", "watch"}
    await source.look()


async def test_a_port_that_the_service_does_not_have(server: ApiServer, source: KubernetesSource) -> None:
    server.put(endpoint_slice("c-1", *three(), port_name="web"))
    await source.start()
    with pytest.raises(SourceError, match=r"^login/connectors: not one port fits: slice c-1 has web \(4000\)$"):
        await source.look()


async def test_another_namespace(server: ApiServer, tmp_path: Path) -> None:
    source = KubernetesSource(PodAccount(tmp_path, server.mount(tmp_path)), "connectors", "http", None, "other")
    await source.start()
    with pytest.raises(SourceError, match='in the namespace "other"; a Role in the namespace other has to'):
        await source.look()
    await source.stop()


async def test_an_old_api_server(server: ApiServer, source: KubernetesSource) -> None:
    server.failure = 404, {}
    await source.start()
    with pytest.raises(SourceError, match=r"404 the test wants it so; Kubernetes 1\.21 or newer is needed"):
        await source.look()


async def test_outside_of_a_pod_it_cannot_start(tmp_path: Path) -> None:
    source = KubernetesSource(PodAccount(tmp_path, {}), "connectors", "http")
    with pytest.raises(SourceError, match="namespace: No such file or directory"):
        await source.start()
    await source.stop()


async def test_a_server_that_wants_to_be_left_alone(
    server: ApiServer, source: KubernetesSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    await source.start()
    monkeypatch.setattr(asyncio, "sleep", sleep)
    for after, least, most in (("0", 0.5, 1.0), ("20", 20.0, 30.0), ("9999", 60.0, 90.0)):
        server.failure = 429, {"Retry-After": after}
        with pytest.raises(SourceError):
            await source.look()
        await source.wait(1.0)
        assert least <= waits[-1] <= most


class TestDiscovery:
    """The source under the rules of all sources."""

    async def test_pods_that_are_told_to_end_leave_at_once(
        self, server: ApiServer, discovery: tuple[Discovery, Pool]
    ) -> None:
        found, pool = discovery
        server.put(endpoint_slice("c-1", *three()))
        await pool.has("a", "b", "c")
        server.put(endpoint_slice("c-1", *(terminating(name, f"10.0.0.{n}") for n, name in enumerate("abc", 1))))
        await pool.has()
        assert found.view()["doubt"] is None

    async def test_pods_that_vanish_all_at_once_are_doubted(
        self, server: ApiServer, discovery: tuple[Discovery, Pool]
    ) -> None:
        found, pool = discovery
        server.put(endpoint_slice("c-1", *three()))
        await pool.has("a", "b", "c")
        lists = len(server.of("list"))
        server.put(endpoint_slice("c-1", terminating("a", "10.0.0.1")))
        await pool.has("b", "c")
        assert found.view()["doubt"] == "the answer is empty; it counts after 3600 s"
        server.put(endpoint_slice("c-1", *three()))
        await pool.has("a", "b", "c")
        assert len(server.of("list")) > lists, "what is doubted is asked for anew"

    async def test_an_api_server_that_is_gone_changes_nothing(
        self, server: ApiServer, discovery: tuple[Discovery, Pool], caplog: pytest.LogCaptureFixture
    ) -> None:
        found, pool = discovery
        server.put(endpoint_slice("c-1", *three()))
        await pool.has("a", "b", "c")
        await server.stop()
        async with asyncio.timeout(WITHIN):
            while not found.view()["error"]:  # noqa: ASYNC110 # it has no event for it
                await asyncio.sleep(0.01)
        assert len(pool.members) == 3
        assert found.belief.stale(time.monotonic()) > 0
        server.put(endpoint_slice("c-1", *three()[1:]))
        await server.start()
        await pool.has("b", "c")
        assert found.view()["stale_seconds"] == 0
        assert not [record for record in caplog.records if "secret" in str(record.__dict__)]

    async def test_an_account_that_may_not_keeps_what_it_had(
        self, server: ApiServer, discovery: tuple[Discovery, Pool], tmp_path: Path
    ) -> None:
        found, pool = discovery
        server.put(endpoint_slice("c-1", *three()))
        await pool.has("a", "b", "c")
        server.token = "secret-token-2"
        server.end_watches()
        async with asyncio.timeout(WITHIN):
            while "401" not in (found.view()["error"] or ""):  # noqa: ASYNC110 # it has no event for it
                await asyncio.sleep(0.01)
        server.mount(tmp_path)  # the kubelet has replaced it
        server.put(endpoint_slice("c-1", *three()[:2]))
        await pool.has("a", "b")

    async def test_2000_endpoints_in_20_slices(self, server: ApiServer, discovery: tuple[Discovery, Pool]) -> None:
        names = []
        for number in range(20):
            pods = [f"p-{number:02}-{one:02}" for one in range(100)]
            names += pods
            server.put(
                endpoint_slice(f"c-{number}", *(endpoint(pod, f"10.1.{number}.{n}") for n, pod in enumerate(pods)))
            )
        _, pool = discovery
        await pool.has(*names)
        server.put(endpoint_slice("c-7"))
        await pool.has(*(name for name in names if not name.startswith("p-07")))
