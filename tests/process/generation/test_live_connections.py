"""The connections of a generation, with its data path, or with workers that answer or do not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from lbproxy.control.live_connections import NO_CONNECTIONS, ConnectionQuery, ConnectionsView
from lbproxy.errors import AdminError
from lbproxy.process.generation.live_connections import LiveConnections
from lbproxy.process.ipc.worker_messages import FindConnections, KickConnection, ToWorker
from lbproxy.process.workers.supervisor import WorkerSupervisor
from tests.control.live import connection
from tests.runtime.test_live_connections import scene_of


class Answers:
    """Two workers, one of which has a connection, and as many others as are silent."""

    def __init__(self) -> None:
        self.silent = 0
        self.questions: list[ToWorker] = []

    async def ask(self, question: Callable[[int], ToWorker]) -> tuple[list[ConnectionsView], int]:
        self.questions.append(asked := question(7))
        has = isinstance(asked, FindConnections) or asked == KickConnection(7, connection()["id"])
        one: ConnectionsView = {**NO_CONNECTIONS, "open": 1, "matched": 1, "connections": [connection()] if has else []}
        return [NO_CONNECTIONS, one], self.silent


@pytest.fixture
def workers() -> Answers:
    return Answers()


@pytest.fixture
def live(workers: Answers) -> LiveConnections:
    return LiveConnections(None, cast(WorkerSupervisor, workers), ["connectors"])


async def test_all_workers_are_asked(live: LiveConnections, workers: Answers) -> None:
    workers.silent = 1
    view = await live.find(ConnectionQuery(user="alice"))
    assert workers.questions == [FindConnections(7, ConnectionQuery(user="alice"))]
    assert (view["connections"], view["open"], view["unanswered"]) == ([connection()], 1, 1)


async def test_a_pool_that_is_not_there_is_named(live: LiveConnections) -> None:
    with pytest.raises(AdminError, match=r"^there is no pool other; there is connectors$"):
        await live.find(ConnectionQuery(pool="other"))


async def test_who_ends_one_is_logged(live: LiveConnections, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert await live.kick(connection()["id"], "olga") == connection()
    assert [(record.message, record.fields["by"], record.fields["user"]) for record in caplog.records] == [  # type: ignore[attr-defined]
        ("connection_kicked", "olga", "CN=alice,O=Corp")
    ]


async def test_one_that_is_not_there_is_an_error(live: LiveConnections) -> None:
    with pytest.raises(AdminError, match=r"^there is no connection 1-2-x: it may have ended; "):
        await live.kick("1-2-x", "olga")


async def test_one_that_a_silent_worker_may_have_is_not_said_to_be_gone(
    live: LiveConnections, workers: Answers, caplog: pytest.LogCaptureFixture
) -> None:
    """The question is on its way: the worker ends the connection when it gets to it."""
    workers.silent = 1
    with pytest.raises(AdminError, match=r"^workers that have not answered in time: 1; if one of them has the con"):
        await live.kick("1-2-x", "olga")
    [logged] = caplog.records
    assert (logged.message, logged.fields) == (  # type: ignore[attr-defined]
        "connection_kick_unanswered",
        {"id": "1-2-x", "workers": 1, "by": "olga"},
    )


async def test_where_there_are_no_workers_the_data_path_is_asked(tmp_path: Path) -> None:
    async with scene_of(tmp_path) as scene:
        live = LiveConnections(scene.data_path, None, list(scene.data_path.pools))
        await scene.connect()
        [one] = (await live.find(ConnectionQuery()))["connections"]
        assert (await live.kick(one["id"], "olga"))["id"] == one["id"]
        assert scene.data_path.connections == 0
