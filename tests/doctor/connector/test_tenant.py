"""A tenant of the tests' own, over real TLS: what the connector's own troubleshooter asks of the real one."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from lbproxy.doctor.connector import tenant
from lbproxy.doctor.connector.sight import Sight
from lbproxy.doctor.finding import Outcome, UnseenError
from tests.doctor.connector.conftest import Looking
from tests.doctor.looking import only
from tests.doctor.servers import site
from tests.instance.connector import Connector
from tests.pki import Authority

TICKET = "secret-ticket"


def says(content: Any, status: int = 200) -> Callable[[web.Request], Any]:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(content() if callable(content) else content, status=status)

    return answer


async def talks(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.close()
    return socket


@pytest.fixture
def at(look: Looking, connector: Connector, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Serves a tenant: what the checks look at."""

    @asynccontextmanager
    async def serve(believed: bool = True, **routes: Callable[[web.Request], Any]) -> AsyncIterator[Sight]:
        root = Authority.root()
        (tmp_path / "ca").mkdir()
        root.write_certificate(tmp_path / "ca" / "root.pem")
        files = root.server("localhost", "127.0.0.1").write(tmp_path, "tenant")
        paths = {"test": "/test", "info": f"/p/ad/{TICKET}/info", "hub": "/lo/hub"}
        async with site({paths[name]: handler for name, handler in routes.items()}, files) as port:
            yield look(
                PROVISIONING_TICKET=f"https://127.0.0.1:{port}/p/ad/{TICKET}",
                AD_HUB=f"https://127.0.0.1:{port}/lo/hub",
                SSL_CA_PATH=str(tmp_path / "ca") if believed else None,
            )

    return serve


def clock(ahead: float) -> Callable[[web.Request], Any]:
    return says(lambda: {"clock": int((time.time() + ahead) * 1000)})


@pytest.mark.parametrize(("ahead", "outcome"), [(0, Outcome.OK), (3600, Outcome.PROBLEM), (-60, Outcome.PROBLEM)])
async def test_its_clock(at: Any, ahead: float, outcome: Outcome) -> None:
    async with at(test=clock(ahead)) as sight:
        assert only(await tenant.clock(sight)).outcome is outcome


@pytest.mark.parametrize("content", [{}, {"clock": "soon"}, {"clock": None}])
async def test_one_that_does_not_say_its_time(at: Any, content: object) -> None:
    async with at(test=says(content)) as sight:
        assert only(await tenant.clock(sight)).outcome is Outcome.WARNING


@pytest.mark.parametrize(("content", "status"), [({}, 503), ([], 200), ("x", 200)])
async def test_one_that_answers_otherwise(at: Any, content: object, status: int) -> None:
    async with at(test=says(content, status), info=says(content, status)) as sight:
        assert only(await tenant.clock(sight)).outcome is Outcome.PROBLEM
        assert only(await tenant.thumbprint(sight)).outcome is Outcome.PROBLEM


async def test_one_whose_certificate_is_not_believed(at: Any) -> None:
    async with at(believed=False, test=clock(0), hub=talks) as sight:
        found = only(await tenant.clock(sight))
        assert "certificate refused" in found.found
        assert "SSL_CA_PATH" in found.repair
        assert only(await tenant.hub(sight)).outcome is Outcome.PROBLEM


async def test_the_certificate_that_it_knows(at: Any, connector: Connector) -> None:
    shown = connector.thumbprint()
    async with at(info=says({"thumbprints": [":".join(shown[at : at + 2] for at in range(0, 40, 2))]})) as sight:
        assert only(await tenant.thumbprint(sight)).outcome is Outcome.OK


async def test_another_certificate_and_none(at: Any) -> None:
    async with at(info=says({"thumbprints": ["ab" * 20]})) as sight:
        found = only(await tenant.thumbprint(sight))
    assert found.outcome is Outcome.PROBLEM
    assert TICKET not in str(found)


async def test_a_tenant_that_knows_no_certificate(at: Any) -> None:
    async with at(info=says({"thumbprints": []})) as sight:
        assert only(await tenant.thumbprint(sight)).outcome is Outcome.WARNING


async def test_the_ticket_is_never_told(at: Any) -> None:
    async with at() as sight:
        pass
    for check in (tenant.clock, tenant.thumbprint, tenant.hub):
        found = only(await check(sight))
        assert found.outcome is Outcome.PROBLEM
        assert "connection refused" in found.found
        assert TICKET not in str(found)


async def test_a_password_in_an_address_is_never_told(look: Looking, unused_tcp_port: int) -> None:
    url = f"https://user:pa55word@127.0.0.1:{unused_tcp_port}/p/ad/{TICKET}"
    sight = look(PROVISIONING_TICKET=url, AD_HUB=url)
    for check in (tenant.clock, tenant.thumbprint, tenant.hub):
        found = only(await check(sight))
        assert f"127.0.0.1:{unused_tcp_port}" in found.found
        assert "pa55word" not in str(found)


@pytest.mark.parametrize("url", ["https://[::1/x", "https://host:port/x", "https://"])
async def test_what_is_no_url_is_not_seen(look: Looking, url: str) -> None:
    for check in (tenant.clock, tenant.thumbprint, tenant.hub):
        with pytest.raises(UnseenError, match="no URL") as raised:
            await check(look(PROVISIONING_TICKET=url, AD_HUB=url))
        assert url not in str(raised.value)


async def test_the_hub(at: Any) -> None:
    async with at(hub=talks) as sight:
        assert only(await tenant.hub(sight)).outcome is Outcome.OK


async def test_a_hub_that_is_none(at: Any) -> None:
    async with at(hub=says({})) as sight:
        assert "200 instead of a WebSocket" in only(await tenant.hub(sight)).found


async def test_without_settings_nothing_is_seen(look: Looking) -> None:
    for check in (tenant.clock, tenant.thumbprint, tenant.hub):
        with pytest.raises(UnseenError):
            await check(look(PROVISIONING_TICKET=None, AD_HUB=None))
