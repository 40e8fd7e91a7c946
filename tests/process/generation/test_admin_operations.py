from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lbproxy.balance.member import Member
from lbproxy.balance.operators import Said
from lbproxy.balance.orders import NO_ORDER
from lbproxy.config import load
from lbproxy.errors import AdminError
from lbproxy.process.generation.admin_operations import Operations
from lbproxy.runtime.data_path import DataPath
from lbproxy.runtime.pool_control import PoolControl
from tests.process.places import listen_all

FILE = """
server_url = "http://login.corp.example"
[listener.login]
bind = "127.0.0.1:0"
pool = "linux"
[pool.linux]
backends = [{ name = "c1", url = "http://127.0.0.1:9" }, { name = "c2", url = "http://127.0.0.2:9" }]
check = { kind = "none" }
[pool.windows]
backends = [{ name = "c1", url = "http://127.0.0.3:9" }, { name = "w2", url = "http://127.0.0.4:9" }]
check = { kind = "none" }
"""


@pytest.fixture
async def pool_controls(tmp_path: Path) -> AsyncIterator[dict[str, PoolControl]]:
    """Two pools whose backends are all in rotation; each has a c1."""
    (tmp_path / "lbproxy.toml").write_text(FILE)
    config = load(tmp_path / "lbproxy.toml", {})
    sockets = listen_all(config)
    worker = DataPath(config, sockets, lambda record: None, False)
    pool_controls = {
        name: PoolControl(pool, config.pools[name], config.server_url) for name, pool in worker.pools.items()
    }
    for pool_control in pool_controls.values():
        await pool_control.prober.first_round.wait()
    yield pool_controls
    for pool_control in pool_controls.values():
        await pool_control.stop()
    worker.stop()
    for sock in sockets.values():
        sock.close()


def in_rotation(pool_controls: dict[str, PoolControl], pool: str) -> set[str]:
    return {backend.name for backend in pool_controls[pool].pool.rotation.members}


async def test_shows_a_backend_with_its_pool(pool_controls: dict[str, PoolControl]) -> None:
    answer = Operations(pool_controls).show("c2")
    assert (answer["pool"], answer["backend"]["name"], answer["backend"]["state"]) == ("linux", "c2", "up")


async def test_a_drained_backend_is_out_of_rotation_until_it_is_ready(pool_controls: dict[str, PoolControl]) -> None:
    operations = Operations(pool_controls)
    drained = operations.drain("c2", force=False, by="olga")["backend"]
    assert (drained["draining"], drained["in_rotation"], drained["state"]) == (True, False, "up")
    assert in_rotation(pool_controls, "linux") == {"c1"}
    ready = operations.ready("c2", by="olga")
    assert ready is not None
    assert (ready["backend"]["draining"], ready["backend"]["in_rotation"]) == (False, True)
    assert in_rotation(pool_controls, "linux") == {"c1", "c2"}


async def test_orders_are_logged_once(pool_controls: dict[str, PoolControl], caplog: pytest.LogCaptureFixture) -> None:
    caplog.clear()
    caplog.set_level(logging.INFO)
    operations = Operations(pool_controls)
    for _ in range(2):
        operations.drain("c2", force=False, by="olga")
    for _ in range(2):
        operations.ready("c2", by="olga")
    assert [record.message for record in caplog.records] == ["backend_drained", "backend_ready"]
    assert vars(caplog.records[0])["fields"] == {"pool": "linux", "backend": "c2", "active": 0, "by": "olga"}


async def test_what_is_open_in_all_processes_is_logged(
    pool_controls: dict[str, PoolControl], caplog: pytest.LogCaptureFixture
) -> None:
    """With workers this process has no request of its own."""
    caplog.set_level(logging.INFO)
    operations = Operations(pool_controls, lambda pool, backend: {"active": 3})
    operations.add("linux", "c9", "http://127.0.0.1:9", 1, False, "olga")
    operations.drain("linux/c2", force=False, by="olga")
    operations.remove("linux", "c9", force=False, by="olga")
    logged = {record.message: vars(record)["fields"] for record in caplog.records if "fields" in vars(record)}
    assert (logged["backend_drained"]["active"], logged["backend_removed"]["active"]) == (3, 3)


async def test_the_last_one_in_rotation_must_be_forced(pool_controls: dict[str, PoolControl]) -> None:
    operations = Operations(pool_controls)
    operations.drain("c2", force=False, by="olga")
    with pytest.raises(AdminError, match="c1 is the only backend of pool linux in rotation"):
        operations.drain("linux/c1", force=False, by="olga")
    assert in_rotation(pool_controls, "linux") == {"c1"}
    operations.drain("c2", force=False, by="olga")  # it is out already: nothing is lost
    operations.drain("linux/c1", force=True, by="olga")
    assert in_rotation(pool_controls, "linux") == set()


async def test_backends_of_one_name_are_one_instance(pool_controls: dict[str, PoolControl]) -> None:
    told: list[tuple[str, str, bool]] = []
    operations = Operations(pool_controls, told=lambda *one: told.append((*one[:2], one[2].order.drain)))
    drained = operations.drain("c1", force=False, by="olga")
    [other] = drained["others"]
    assert (drained["pool"], drained["backend"]["draining"]) == ("linux", True)
    assert (other["pool"], other["backend"]["url"], other["backend"]["draining"]) == (
        "windows", "http://127.0.0.3:9", True,
    )  # fmt: skip
    assert (in_rotation(pool_controls, "linux"), in_rotation(pool_controls, "windows")) == ({"c2"}, {"w2"})
    assert [one["backend"]["draining"] for one in operations.show("c1")["others"]] == [True]
    operations.ready("c1", by="olga")
    assert (in_rotation(pool_controls, "linux"), in_rotation(pool_controls, "windows")) == ({"c1", "c2"}, {"c1", "w2"})
    assert told == [("linux", "c1", True), ("windows", "c1", True), ("linux", "c1", False), ("windows", "c1", False)]


async def test_with_its_pool_a_name_is_one_backend(pool_controls: dict[str, PoolControl]) -> None:
    operations = Operations(pool_controls)
    drained = operations.drain("windows/c1", force=False, by="olga")
    assert (drained["pool"], drained["others"]) == ("windows", [])
    assert in_rotation(pool_controls, "linux") == {"c1", "c2"}
    assert in_rotation(pool_controls, "windows") == {"w2"}
    operations.drain("c1", force=False, by="olga")  # what is not drained yet
    assert in_rotation(pool_controls, "linux") == {"c2"}
    operations.ready("linux/c1", by="olga")
    assert (in_rotation(pool_controls, "linux"), in_rotation(pool_controls, "windows")) == ({"c1", "c2"}, {"w2"})


async def test_an_instance_that_one_pool_cannot_spare_is_drained_in_none(pool_controls: dict[str, PoolControl]) -> None:
    operations = Operations(pool_controls)
    operations.drain("w2", force=False, by="olga")
    with pytest.raises(AdminError, match="c1 is the only backend of pool windows in rotation"):
        operations.drain("c1", force=False, by="olga")
    assert (in_rotation(pool_controls, "linux"), in_rotation(pool_controls, "windows")) == ({"c1", "c2"}, {"c1"})
    operations.drain("c2", force=False, by="olga")
    with pytest.raises(AdminError, match="c1 is the only backend of pool linux, windows in rotation"):
        operations.drain("c1", force=False, by="olga")
    operations.drain("c1", force=True, by="olga")
    assert in_rotation(pool_controls, "linux") == in_rotation(pool_controls, "windows") == set()


@pytest.mark.parametrize("name", ["c9", "linux/w2", "mac/c1", "/c2/x", ""])
async def test_a_name_that_nobody_has(pool_controls: dict[str, PoolControl], name: str) -> None:
    with pytest.raises(AdminError, match=f"no backend is called {name}; lbproxy status shows"):
        Operations(pool_controls).ready(name, by="olga")


async def test_orders_without_a_backend_are_shown_and_taken_back(
    pool_controls: dict[str, PoolControl], caplog: pytest.LogCaptureFixture
) -> None:
    """c3 was drained, and has left; in the pool windows it is still there."""
    told: list[tuple[str, str, Said]] = []
    operations = Operations(pool_controls, told=lambda *one: told.append(one[:3]))
    for control in pool_controls.values():
        control.pool.apply("dns", [Member("c3", "http://127.0.0.6:9")])
    operations.drain("c3", force=True, by="olga")
    operations.change("linux", "c3", {"weight": 2}, force=False, by="olga")
    pool_controls["linux"].pool.apply("dns", [])
    with pytest.raises(AdminError, match="no backend is called linux/c3"):
        operations.drain("linux/c3", force=False, by="olga")
    caplog.clear()
    caplog.set_level(logging.INFO)
    del told[:]
    assert operations.ready("linux/c3", by="root") is None
    assert told == [("linux", "c3", Said(None, pool_controls["linux"].pool.ordered("c3")))]
    assert operations.change("linux", "c3", {"weight": 4}, force=False, by="root") is None
    assert told[-1][2].order.weight == 4
    assert operations.remove("linux", "c3", force=False, by="root") is None
    assert told[-1] == ("linux", "c3", Said(None, NO_ORDER))
    assert [one.message for one in caplog.records] == ["backend_ready", "backend_set", "backend_removed"]
    with pytest.raises(AdminError, match="no backend is called linux/c3"):
        operations.ready("linux/c3", by="root")


async def test_a_name_is_ready_where_it_has_a_backend_and_where_it_has_none(
    pool_controls: dict[str, PoolControl],
) -> None:
    operations = Operations(pool_controls)
    for control in pool_controls.values():
        control.pool.apply("dns", [Member("c3", "http://127.0.0.6:9")])
    operations.drain("c3", force=True, by="olga")
    pool_controls["linux"].pool.apply("dns", [])
    ready = operations.ready("c3", by="root")
    assert ready is not None
    assert (ready["pool"], ready["backend"]["draining"], ready["others"]) == ("windows", False, [])
    assert [control.pool.orders for control in pool_controls.values()] == [{}, {}]


async def test_says_which_pools_it_is_for(pool_controls: dict[str, PoolControl]) -> None:
    assert repr(Operations(pool_controls)) == "<operations on linux windows>"


# --- members


async def test_what_operators_do_to_the_backends_of_a_pool(
    pool_controls: dict[str, PoolControl], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    caplog.set_level(logging.INFO)
    told: list[tuple[str, str, Said]] = []
    operations = Operations(pool_controls, told=lambda *one: told.append(one[:3]))
    before = time.time()
    added = operations.add("linux", "c3", "http://127.0.0.5:9/", 2, standby=False, by="olga")["backend"]
    assert (added["url"], added["weight"], added["source"]) == ("http://127.0.0.5:9", 2, "operator")
    assert added["added"] is not None
    assert (added["added"]["by"], before <= added["added"]["at"] <= time.time()) == ("olga", True)
    changed = operations.change("linux", "c3", {"weight": 5}, force=False, by="root")
    assert changed is not None
    assert (changed["backend"]["weight"], changed["backend"]["ordered"]["weight"]["by"]) == (5, "root")
    last = operations.remove("linux", "c3", force=False, by="root")
    assert last is not None
    assert (last["pool"], last["backend"]["name"], last["backend"]["weight"]) == ("linux", "c3", 5)
    assert pool_controls["linux"].pool.by_name("c3") is None
    assert [(pool, name, said.member is not None, said.order.weight) for pool, name, said in told] == [
        ("linux", "c3", True, None), ("linux", "c3", True, 5), ("linux", "c3", False, None),
    ]  # fmt: skip
    orders = [(one.message, vars(one)["fields"]["by"]) for one in caplog.records if "by" in vars(one)["fields"]]
    assert orders == [("backend_added", "olga"), ("backend_set", "root"), ("backend_removed", "root")]


@pytest.mark.parametrize(
    ("pool", "name", "url", "weight", "why"),
    [
        ("mac", "c3", "http://127.0.0.5:9", 1, "there is no pool mac; there is linux, windows"),
        ("linux", "c1", "http://127.0.0.5:9", 1, "c1 is a backend of pool linux in the configuration file"),
        ("linux", "c/3", "http://127.0.0.5:9", 1, "it has a slash"),
        ("linux", "c:3", "http://127.0.0.5:9", 1, "name: 'c:3' is not a name: a letter or digit, and up to 62 more"),
        ("linux", "c3", "http://127.0.0.5:9", 101, "c3: weight is 101, it must be 0 to 100"),
        ("linux", "c3", "http://127.0.0.5:9/login", 1, "only scheme, host and port may be given"),
        ("linux", "c3", "http://a b:9", 1, "url: 'http://a b:9' is not a URL that begins with http://"),
    ],
)
async def test_what_cannot_be_added(
    pool_controls: dict[str, PoolControl], pool: str, name: str, url: str, weight: int, why: str
) -> None:
    told: list[object] = []
    operations = Operations(pool_controls, told=lambda *one: told.append(one[:3]))
    before = {name: [one.name for one in control.pool.backends] for name, control in pool_controls.items()}
    with pytest.raises(AdminError, match=why):
        operations.add(pool, name, url, weight, standby=False, by="olga")
    assert before == {name: [one.name for one in control.pool.backends] for name, control in pool_controls.items()}
    assert told == []


async def test_an_order_says_which_fields_it_is_about_and_who_gave_it(pool_controls: dict[str, PoolControl]) -> None:
    """The fleet must not take what this balancer cannot have for what was taken back."""
    told: list[tuple[str, tuple[str, ...] | None]] = []
    operations = Operations(pool_controls, told=lambda *one: told.append((one[3].by, one[4])))
    for _ in range(2):
        operations.drain("w2", force=False, by="olga")
    operations.ready("w2", by="bert")
    operations.add("linux", "c3", "http://127.0.0.5:9/", 2, standby=False, by="olga")
    operations.change("linux", "c3", {"weight": 5}, force=False, by="olga")
    operations.remove("linux", "c3", force=False, by="olga")
    operations.ready("w2", by="olga")
    assert told == [
        ("olga", ("drain",)),
        ("olga", ("drain",)),
        ("bert", ("drain",)),
        ("olga", ("member", "weight", "standby")),
        ("olga", ("weight",)),
        ("olga", None),
        ("olga", ("drain",)),
    ], "also what was so already: another balancer may have heard something else meanwhile"
