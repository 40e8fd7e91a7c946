"""The workers as the generation sees them; the test is the forker, and every worker."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from lbproxy import reasons
from lbproxy.auth.certificate import ClientCertificate
from lbproxy.auth.mint import Mint
from lbproxy.balance.backend import Backend, State
from lbproxy.balance.condition import Condition
from lbproxy.balance.health import Change, Rules
from lbproxy.balance.member import Member
from lbproxy.balance.pool import Pool
from lbproxy.control.live_connections import NO_CONNECTIONS, ConnectionQuery
from lbproxy.control.log.logged_event import LoggedEvent
from lbproxy.errors import StartError
from lbproxy.process.ipc.channel import Channel
from lbproxy.process.ipc.master_messages import Drain, End, Logged, Reopen, Retire
from lbproxy.process.ipc.worker_messages import (
    WITH_FORKER,
    WITH_WORKER,
    Accept,
    Address,
    BackendsCounted,
    Born,
    ConnectionsFound,
    Count,
    Counted,
    Died,
    Empty,
    FindConnections,
    Fork,
    FromWorker,
    Hold,
    Members,
    Met,
    Minted,
    Release,
    TicketSecrets,
    ToWorker,
    Unfit,
    Up,
)
from lbproxy.process.workers import supervisor
from lbproxy.process.workers.supervisor import WorkerSupervisor
from lbproxy.status import counters
from lbproxy.status.tls_report import NOTHING
from tests.balance.heard import Verdicts
from tests.net.peers import until
from tests.pki import Authority
from tests.process.far import Far

CA = Authority.root("mint", path_length=0)
WorkerEnd = Far[FromWorker, ToWorker]


class Scene:
    """A supervisor of two in front of two backends that are up."""

    def __init__(self) -> None:
        self.backends = [Backend(name, f"http://{name}.test") for name in ("c1", "c2")]
        self.pool = Pool("connectors", self.backends, Rules())
        for backend in self.backends:
            self.pool.probed(backend, True, "", 1.0)
        ours, theirs = Channel.pair(WITH_FORKER)
        self.forker = Far(theirs)
        self.lost = asyncio.Event()
        self.mints = {"login": Mint(CA.certificate, CA.key, 600.0)}
        self.supervisor = WorkerSupervisor(2, ours, {"connectors": self.pool}, self.mints, self.lost.set)
        self.workers: list[WorkerEnd] = []

    async def born(self, index: int, pid: int = 0) -> WorkerEnd:
        """The fork that was asked for has happened."""
        assert (await self.forker.hears(Fork)).index == index
        theirs, ours = Channel.pair(WITH_WORKER)
        self.forker.channel.send(Born(index, pid or 1000 + index), [theirs.fileno()])
        theirs.close()
        self.workers.append(Far(ours))
        return self.workers[-1]

    async def complete(self) -> list[WorkerEnd]:
        """Both workers are up."""
        workers = [await self.born(index) for index in range(2)]
        for worker in workers:
            worker.say(Up())
        await self.supervisor.ready()
        return workers

    def dies(self, index: int, worker: WorkerEnd, status: int = -9) -> None:
        worker.close()
        self.forker.say(Died(index, 1000 + index, status))

    async def stop(self) -> None:
        """As a generation does, and its workers obey."""
        stopping = asyncio.ensure_future(self.supervisor.stop())
        for worker in self.workers:
            if not worker.closed:
                await worker.hears(End)
                worker.close()
        await stopping


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    yield made
    await made.stop()
    made.forker.close()


async def conditions(worker: WorkerEnd) -> dict[str, Condition]:
    """Those in the next message that has some."""
    return (await worker.hears(Members)).conditions


async def test_a_new_worker_is_told_everything(scene: Scene) -> None:
    scene.pool.drain(scene.backends[1])
    scene.supervisor.resolved(scene.pool, scene.backends[0], socket.AF_INET, ("127.0.0.1", 80))
    scene.supervisor.start()
    worker = await scene.born(0)
    told = await conditions(worker)
    assert told["connectors/c1"].state == "up"
    assert told["connectors/c2"].draining
    assert (await worker.hears(Address)).address == ("127.0.0.1", 80)
    await worker.hears(Accept)
    assert repr(scene.supervisor) == "<supervisor of 1>"


async def test_what_a_worker_logs_is_told_with_its_number(scene: Scene) -> None:
    told: list[tuple[int, LoggedEvent]] = []
    scene.supervisor.logged = lambda index, events: told.extend((index, one) for one in events)
    _, second = await scene.complete()
    said = LoggedEvent(1.0, "WARNING", "client_refused", {"why": "x"}, "worker")
    second.say(Logged([said]))
    await until(lambda: told)
    assert told == [(1, said)]


async def test_who_joins_and_who_leaves_is_told_in_one_message(scene: Scene) -> None:
    [worker, _] = await scene.complete()
    await worker.hears(Members)
    scene.pool.apply("dns", [Member("c3", "http://c3.test", weight=2), Member("c4", "http://c4.test")])
    scene.pool.apply("dns", [Member("c3", "http://c3.test", weight=2)])
    scene.pool.leave("c1")
    told = await worker.hears(Members)
    assert (told.whole, told.left, told.joined) == (
        False,
        ["connectors/c1"],
        {"connectors/c3": Member("c3", "http://c3.test", 2, False)},
    )
    assert told.conditions["connectors/c3"].state == "new"


async def test_what_is_heard_of_one_that_has_left_counts_for_nobody(scene: Scene) -> None:
    workers = await scene.complete()
    scene.pool.leave("c1")
    late = Met("connectors/c1", "http://c1.test", True, "connect_refused", "")
    workers[0].say(late)
    scene.pool.join(Member("c1", "http://c1.test:81"))
    workers[0].say(late)
    workers[0].say(late.but(backend="connectors/c2", url="http://c2.test"))
    await until(lambda: scene.backends[1].state is State.DOWN)
    joined = scene.pool.by_name("c1")
    assert joined is not None
    assert joined.state is State.NEW


async def test_what_one_worker_met_all_hear(scene: Scene) -> None:
    workers = await scene.complete()
    told: list[tuple[Backend, Change]] = []
    scene.pool.observers.append(Verdicts(lambda backend, change, *_: told.append((backend, change))))
    for worker in workers:
        await worker.hears(Members)
    workers[0].say(Met("connectors/c1", "http://c1.test", True, "connect_refused", "refused"))
    for worker in workers:
        condition = (await conditions(worker))["connectors/c1"]
        assert (condition.state, condition.reason, condition.detail) == ("down", "connect_refused", "refused")
    assert told == [(scene.backends[0], Change.EJECT)]
    assert scene.backends[0].state is State.DOWN


async def test_a_suspicion_is_told_to_the_prober_only(scene: Scene) -> None:
    workers = await scene.complete()
    told: asyncio.Queue[object] = asyncio.Queue()
    scene.pool.observers.append(Verdicts(lambda *change: told.put_nowait(change)))
    workers[0].say(Met("connectors/c1", "http://c1.test", False, "response_timeout", ""))
    assert await told.get() == (scene.backends[0], Change.SUSPECT, reasons.RESPONSE_TIMEOUT, "")
    assert scene.backends[0].state is State.UP


async def test_probes_drains_and_inconsistencies_are_told(scene: Scene) -> None:
    workers = await scene.complete()
    await workers[0].hears(Members)
    one, two = scene.backends
    scene.pool.drain(one)
    assert (await conditions(workers[0]))["connectors/c1"].draining
    scene.pool.ready(one)
    assert not (await conditions(workers[0]))["connectors/c1"].draining
    for _ in range(scene.pool.rules.fall):
        scene.pool.probed(two, False, "refused", 2.0)
    assert (await conditions(workers[0]))["connectors/c2"].state == "down"


async def test_what_one_worker_minted_all_use(scene: Scene) -> None:
    workers = await scene.complete()
    for worker in workers:
        assert (await worker.hears(Minted)).minted_records == []
    elsewhere = Mint(CA.certificate, CA.key, 600.0)
    elsewhere.mint(ClientCertificate.from_chain(CA.issue("alice").chain), time.time())
    workers[0].say(Minted("login", elsewhere.minted_records()))
    assert (await workers[1].hears(Minted)).minted_records == elsewhere.minted_records()
    scene.dies(0, workers[0])
    assert (await (await scene.born(0)).hears(Minted)).minted_records == elsewhere.minted_records()


async def answer(worker: WorkerEnd, counted: counters.Counters, tls: Any = None) -> None:
    """The worker tells what it has counted, because it is asked."""
    worker.say(Counted(counted, tls or {}, (await worker.hears(Count)).number))


async def test_a_report_that_was_on_its_way_answers_no_question(scene: Scene) -> None:
    """It was made before the worker heard what was decided until the question."""
    workers = await scene.complete()
    counting = asyncio.create_task(scene.supervisor.count())
    questions = [(await worker.hears(Count)).number for worker in workers]
    for worker in workers:
        worker.say(Counted({"left_on": {}}, {}))
    await until(lambda: all("left_on" in one for one in scene.supervisor.counters()[:2]))
    assert not counting.done()
    for worker, question in zip(workers, questions, strict=True):
        worker.say(Counted({"left_on": {"connectors/c1": 1}}, {}, question))
    assert await counting is True
    assert counters.total(scene.supervisor.counters())["left_on"] == {"connectors/c1": 2}


async def test_of_backends_only_what_has_changed_is_told(scene: Scene) -> None:
    workers = await scene.complete()
    one, two = scene.supervisor.counters, "connectors/c2"
    workers[0].say(BackendsCounted({"connectors/c1": {"requests": 1, "active": 1}, two: {"requests": 5}}, []))
    workers[1].say(BackendsCounted({two: {"requests": 7}}, []))
    workers[0].say(BackendsCounted({"connectors/c1": {"requests": 2, "active": 0}}, []))
    await until(lambda: counters.total(one())["backends"].get(two) == {"requests": 12})
    assert counters.total(one())["backends"]["connectors/c1"] == {"requests": 2, "active": 0}
    workers[0].say(BackendsCounted({}, ["connectors/c1", "connectors/unknown"]))
    await until(lambda: "connectors/c1" not in counters.total(one())["backends"])
    scene.dies(0, workers[0])
    await scene.born(0)
    assert counters.total(one())["backends"] == {two: {"requests": 12}}
    scene.pool.leave("c2")
    assert counters.total(one())["backends"] == {two: {"requests": 7}}, "the dead worker's are forgotten"


async def test_counters_add_up_over_workers_and_deaths(scene: Scene) -> None:
    workers = await scene.complete()
    counting = asyncio.ensure_future(scene.supervisor.count())
    for worker, requests in zip(workers, (3, 4), strict=True):
        await answer(worker, {"listeners": {"login": {"requests": requests, "connections": 1}}})
    await counting
    assert counters.total(scene.supervisor.counters())["listeners"]["login"] == {"requests": 7, "connections": 2}
    assert scene.supervisor.connections == 2
    workers[0].say(Counted({"listeners": {"login": {"requests": 5, "connections": 1}}}, {}))  # its last words
    scene.dies(0, workers[0])
    await scene.born(0)
    assert counters.total(scene.supervisor.counters())["listeners"]["login"] == {"requests": 9, "connections": 1}


async def test_what_workers_know_of_tls_is_known_even_after_their_death(scene: Scene) -> None:
    assert scene.supervisor.tls() == NOTHING
    workers = await scene.complete()
    counting = asyncio.ensure_future(scene.supervisor.count())
    refused = {"why": "no key", "since": 1.0}
    for worker, why in zip(workers, (None, refused), strict=True):
        report = {"endings": [], "files": [{"where": "listener.login.tls", "refused": why}], "shut_out": {}}
        await answer(worker, {}, report)
    await counting
    assert scene.supervisor.tls()["files"] == [{"where": "listener.login.tls", "refused": refused}]
    scene.dies(1, workers[1])
    await scene.born(1)
    assert scene.supervisor.tls()["files"] == [{"where": "listener.login.tls", "refused": refused}]


async def test_who_does_not_answer_is_not_waited_for(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbproxy.process.workers.supervisor.ANSWER_WITHIN", 0.01)
    workers = await scene.complete()
    assert await scene.supervisor.count() is False
    monkeypatch.undo()
    counting = asyncio.create_task(scene.supervisor.count())
    for worker in workers:
        await worker.hears(Count)  # the one that it did not answer
        await answer(worker, {})
    assert await counting is True


async def test_a_worker_that_dies_is_replaced(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    workers = await scene.complete()
    scene.supervisor.start()
    scene.dies(1, workers[1])
    successor = await scene.born(1)
    await successor.hears(Accept)
    [record] = [record for record in caplog.records if record.message == "worker_died"]
    assert record.levelno == logging.ERROR
    assert vars(record)["fields"] == {"worker": 1, "pid": 1001, "status": -9, "again_in": 0.0}


async def test_workers_that_cannot_start_are_the_end(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbproxy.process.ipc.restart_backoff.LONGEST", 0.0)
    ready = asyncio.ensure_future(scene.supervisor.ready())
    await scene.born(0)
    for _ in range(3):
        worker = await scene.born(1)
        scene.dies(1, worker, 1)
    with pytest.raises(StartError):
        await ready


async def test_a_worker_that_cannot_serve_says_why(scene: Scene) -> None:
    ready = asyncio.ensure_future(scene.supervisor.ready())
    (await scene.born(0)).say(Unfit("listener.login.tls: no key"))
    with pytest.raises(StartError, match=r"^listener\.login\.tls: no key$"):
        await ready


async def test_retiring_and_draining_wait_for_everybody(scene: Scene) -> None:
    workers = await scene.complete()
    scene.supervisor.retire()
    await scene.forker.hears(Retire)
    emptied = asyncio.ensure_future(scene.supervisor.emptied())
    for worker in workers:
        await worker.hears(Retire)
        assert not emptied.done()
        worker.say(Counted({"listeners": {"login": {"connections": 1}}}, {}))
        worker.say(Empty())
    assert await emptied
    assert scene.supervisor.connections == 0  # though they were counted a moment ago
    assert await scene.supervisor.drain(10.0)
    await workers[0].hears(Drain)


async def test_who_is_not_empty_in_time_is_cut(scene: Scene) -> None:
    workers = await scene.complete()
    assert not await scene.supervisor.drain(0.01)
    scene.supervisor.reopen()
    await workers[0].hears(Reopen)


async def test_nobody_is_replaced_who_dies_in_the_end(scene: Scene) -> None:
    workers = await scene.complete()
    scene.supervisor.retire()
    scene.dies(0, workers[0], 0)
    workers[1].say(Empty())
    assert await scene.supervisor.emptied()
    await scene.forker.hears(Retire)
    await scene.stop()
    with pytest.raises(EOFError):
        scene.forker.channel.receive()  # nothing but the end, and so no order to fork


async def test_the_loss_of_the_forker_is_told(scene: Scene) -> None:
    await scene.complete()
    scene.forker.close()
    await scene.lost.wait()


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two that do nothing until they read a line."""
    made = [subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(2)]
    yield made
    for process in made:
        process.communicate(b"\n" if process.poll() is None else None)


async def test_a_worker_that_stands_still_is_killed(
    scene: Scene, processes: list[subprocess.Popen[bytes]], caplog: pytest.LogCaptureFixture
) -> None:
    """One that is not up yet may still be reading its files."""
    one, two = processes
    stuck, starting = await scene.born(0, one.pid), await scene.born(1, two.pid)
    await until(lambda: len(scene.supervisor.workers) == 2)
    worker = scene.supervisor.workers[0]
    for word in (Up(), Empty()):  # whatever it says is enough
        for _ in range(supervisor.STILL - 1):
            scene.supervisor._look()
        stuck.say(word)
        await until(lambda: worker.up and not worker.silent)
    assert not caplog.records
    for _ in range(supervisor.STILL):
        scene.supervisor._look()
    await asyncio.to_thread(one.wait)
    assert (one.returncode, two.poll()) == (-signal.SIGKILL, None)
    assert [record.message for record in caplog.records] == ["worker_stuck"]
    scene.dies(0, stuck)
    again = await scene.born(0)
    for far in (starting, again):
        far.say(Up())
    await scene.supervisor.ready()


async def test_all_hear_that_an_address_moves(scene: Scene) -> None:
    workers = await scene.complete()
    scene.supervisor.hold(["login"])
    scene.supervisor.release(["login"])
    for worker in workers:
        assert (await worker.hears(Hold)).listeners == ["login"]
        assert (await worker.hears(Release)).gone == ["login"]


async def test_all_hear_what_seals_tickets_and_so_do_those_that_are_born_later(scene: Scene) -> None:
    workers = await scene.complete()
    scene.supervisor.seal([b"\x01", b"\x02"])
    for worker in workers:
        assert (await worker.hears(TicketSecrets)).secrets == ["01", "02"]
    scene.dies(0, workers[0])
    assert (await (await scene.born(0)).hears(TicketSecrets)).secrets == ["01", "02"]


async def test_all_workers_are_asked_and_those_that_are_late_are_counted(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = await scene.complete()
    monkeypatch.setattr(supervisor, "FOUND_WITHIN", 30.0)
    asking = asyncio.ensure_future(scene.supervisor.ask(lambda number: FindConnections(number, ConnectionQuery())))
    number = (await workers[1].hears(FindConnections)).number
    workers[1].say(
        ConnectionsFound(number - 1, {**NO_CONNECTIONS, "open": 9})
    )  # to a question that nobody has any more
    for worker in workers:
        worker.say(ConnectionsFound(number, {**NO_CONNECTIONS, "open": 1}))
    found, unanswered = await asking
    assert ([view["open"] for view in found], unanswered) == ([1, 1], 0)
    monkeypatch.setattr(supervisor, "FOUND_WITHIN", 0.01)
    assert await scene.supervisor.ask(lambda number: FindConnections(number, ConnectionQuery())) == ([], 2)


async def test_an_answer_in_parts_is_complete_with_its_last(scene: Scene) -> None:
    workers = await scene.complete()
    asking = asyncio.ensure_future(scene.supervisor.ask(lambda number: FindConnections(number, ConnectionQuery())))
    number = (await workers[1].hears(FindConnections)).number
    for worker in workers:
        worker.say(ConnectionsFound(number, {**NO_CONNECTIONS}, more=True))
    workers[0].say(ConnectionsFound(number, {**NO_CONNECTIONS, "open": 1}))
    await until(lambda: len(scene.supervisor._answers[number]) == 3)
    assert not asking.done()
    workers[1].say(ConnectionsFound(number, {**NO_CONNECTIONS, "open": 2}))
    found, unanswered = await asking
    assert (sorted(view["open"] for view in found), unanswered) == ([0, 0, 1, 2], 0)


async def test_a_worker_that_dies_is_not_waited_for(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    workers = await scene.complete()
    monkeypatch.setattr(supervisor, "FOUND_WITHIN", 30.0)
    asking = asyncio.ensure_future(scene.supervisor.ask(lambda number: FindConnections(number, ConnectionQuery())))
    number = (await workers[1].hears(FindConnections)).number
    workers[1].say(ConnectionsFound(number, {**NO_CONNECTIONS}))
    scene.dies(0, workers[0])
    assert await asking == ([NO_CONNECTIONS], 1)
