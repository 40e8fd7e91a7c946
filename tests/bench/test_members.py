"""What `bench.members` measures with, without what takes long: its places, its reading of the log, its tables."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import ExitStack
from pathlib import Path

import dns.message
import dns.query

from bench.load.load import Load
from bench.members import churn, reaction
from bench.members.balancer import find
from bench.members.churn import Changer, Round
from bench.members.places import FLEET, PAIRS, PLACES, POOL, FilePlace
from bench.members.reaction import Reaction
from lbproxy.control.discovery.kubernetes_source import KubernetesSource
from lbproxy.control.discovery.registry import Connector, connectors
from lbproxy.control.etcd import Access, Etcd
from lbproxy.control.kubernetes.kubeconfig import Kubeconfig

LOG = """
2026-11-21T07:40:00.000Z INFO backend_joined pool=connectors backend=m1 url=http://127.0.0.1:1 source=etcd
2026-11-21T07:40:00.250Z INFO backend_joined pool=connectors backend=m10 url=http://127.0.0.1:1 source=etcd
2026-11-21T07:40:01.250Z INFO backend_readmitted pool=connectors backend=m1
2026-11-21T07:40:09.000Z INFO backend_joined pool=connectors backend=m1 url=http://127.0.0.1:1 source=etcd
"""
START = 1795246800.0  # of the log


def test_the_log_says_when() -> None:
    assert find(LOG, "backend_joined", "m1", START) == START
    assert find(LOG, "backend_joined", "m10", START) == START + 0.25
    assert find(LOG, "backend_readmitted", "m1", START) == START + 1.25
    assert find(LOG, "backend_joined", "m1", START + 1) == START + 9
    assert find(LOG, "backend_left", "m1", START) is None


async def test_a_file_that_changes(tmp_path: Path) -> None:
    with ExitStack() as stack:
        place = FilePlace(tmp_path, stack)
        await place.fill({"m1": "http://a:1"})
        await place.add("m2", "http://b:1")
        await place.remove("m1")
    assert json.loads((tmp_path / "backends.json").read_text()) == [{"name": "m2", "url": "http://b:1"}]
    assert place.table == f'kind = "file"\npath = "{tmp_path}/backends.json"'


async def test_a_service_of_kubernetes_that_changes(tmp_path: Path) -> None:
    with ExitStack() as stack:
        place = PLACES["kubernetes"](tmp_path, stack)
        await place.fill({"m1": "http://10.0.0.1:1"})
        config = tmp_path / "kubeconfig"
        assert place.table.endswith(f'kubeconfig = "{config}"')
        source = KubernetesSource(Kubeconfig(config), "connectors", "http", "http")
        await source.start()
        [first] = (await source.look()).members
        await place.add("m2", "http://10.0.0.2:1")
        await place.remove("m1")
        async with asyncio.timeout(20):
            while [(one.name, one.url) for one in (await source.look()).members] != [("m2", "http://10.0.0.2:1")]:
                await source.wait(20)
        await source.stop()
    assert (first.name, first.url) == ("m1", "http://10.0.0.1:1")


async def test_a_registry_that_changes(tmp_path: Path) -> None:
    with ExitStack() as stack:
        place = PAIRS["etcd"](tmp_path, stack)
        await place.fill({"m1": "http://a:1"})
        await place.add("m2", "http://b:1")
        await place.remove("m1")
        url = place.table.rpartition("etcd = [")[2].strip('"]')
        etcd = Etcd(Access((url,)))
        await place.aside().add("m3", "http://c:1")
        [found] = (await etcd.list(connectors(FLEET, POOL))).values
        assert (found.key.rpartition("/")[2], Connector.decode(found.value).url) == ("m2", "http://b:1")
        await etcd.close()
        await place.close()


async def test_a_name_that_changes(tmp_path: Path) -> None:
    with ExitStack() as stack:
        place = PLACES["dns"](tmp_path, stack)
        await place.fill({"127.0.0.2": "http://127.0.0.2:80"})
        await place.add("127.0.0.3", "http://127.0.0.3:80")
        await place.remove("127.0.0.2")
        port = int(place.table.rpartition(":")[2].strip('"]'))
        answer, _ = await asyncio.to_thread(
            dns.query.udp_with_fallback, dns.message.make_query("c.test.", "A"), "127.0.0.1", 20, port
        )
        [record] = answer.answer
        assert ([one.to_text() for one in record], record.ttl) == (["127.0.0.3"], 1)


async def test_one_leaves_and_joins_again(tmp_path: Path) -> None:
    with ExitStack() as stack:
        place = FilePlace(tmp_path, stack)
        urls = {"m1": "http://a:1", "m2": "http://b:1"}
        await place.fill(urls)
        await (aside := place.aside()).fill({"m3": "http://c:1"})
        await aside.remove("m3")
        assert len(json.loads((tmp_path / "backends.json").read_text())) == 2
        changer = Changer(place, urls)
        changes = await changer.run(1000, time.monotonic() + 0.1)
        assert changes > 0
        left = {one["name"] for one in json.loads((tmp_path / "backends.json").read_text())}
        assert len(left) == 2 - changes % 2


def test_the_tables() -> None:
    load = Load(100, 0, 10.0, 1, 1000.0, 2000.0, 3000.0)
    slow = Load(100, 3, 10.0, 1, 1500.0, 2500.0, 3000.0)
    found = churn.table({"etcd": ([Round(100, 0.1, load, load)], [Round(100, 0.12, slow, slow)])})
    assert [[*column.cells] for column in found.columns] == [
        ["etcd", "etcd"],
        ["0.0", "10.0"],
        ["100.0", "120.0"],
        ["", "2.00"],
        ["1.00, 2.00", "1.50, 2.50"],
        ["", "1.25 (1.25 to 1.25)"],
        ["1.00, 2.00", "1.50, 2.50"],
        ["", "1.25 (1.25 to 1.25)"],
        ["200", "200"],
        ["0", "6"],
    ]
    times = reaction.table({"file": Reaction([0.1, 0.2, 0.6], [0.3], [0.4])})
    assert [[*column.cells] for column in times.columns] == [["file"], ["200, 600"], ["300, 300"], ["400, 400"]]
