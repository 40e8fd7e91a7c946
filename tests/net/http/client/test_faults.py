"""A fault of lbproxy ends one client."""

from __future__ import annotations

import pytest

from lbproxy.auth import binding
from lbproxy.net.http.client import ClientConnection
from tests.balance.heard import Verdicts
from tests.net.conftest import Build
from tests.net.dialogue import answer, head, request
from tests.net.http.client.visits import authenticated, connections, first
from tests.net.http.scenes import UPGRADE
from tests.net.listener_fixture import BEARER, kerberos


@pytest.mark.parametrize("fault", ["connect refused", "lane ready", "lane gone", "log", "tunnel"])
async def test_a_fault_of_ours_ends_its_client_only(
    front: Build, monkeypatch: pytest.MonkeyPatch, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    home = front(2)
    client = await home.connect()
    [connection] = await connections(home)
    lane = await authenticated(home, client, 0)
    if fault == "connect refused":
        home.pool.observers.append(Verdicts(faulty))
        home.places[1].listener.close()
        await client.send(request(b"GET /x", BEARER))
    elif fault == "lane ready":
        monkeypatch.setattr(ClientConnection, "lane_ready", faulty)
        await client.send(request(b"GET /x", kerberos()))
    elif fault == "lane gone":
        connection._own.binding.state = binding.State.CLOSED  # nothing may happen in it
        lane.finish()
    elif fault == "log":
        home.web.log = faulty
        await client.send(request())
        await lane.head()
        await lane.send(answer(b"ok"))
    else:
        home.web.log = faulty
        await client.send(request(b"GET /x", *UPGRADE))
        await lane.head()
        await lane.send(head(*UPGRADE, status=b"101 Switching Protocols"))
        await client.sees(head(*UPGRADE, status=b"101 Switching Protocols"))
        lane.reset()
    await client.is_reset()
    assert {record.message for record in caplog.records} >= {"fault"}
    home.web.log = home.records.append
    monkeypatch.undo()
    other = await home.connect()
    await first(home, other, 0 if fault in ("connect refused", "lane ready") else 1)
