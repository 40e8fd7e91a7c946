from __future__ import annotations

import pytest

from lbproxy.doctor.balancer.heads import limits
from lbproxy.doctor.finding import Outcome
from tests.doctor.conftest import Looking
from tests.doctor.looking import only, told
from tests.doctor.servers import limited


async def test_a_backend_that_takes_all(look: Looking) -> None:
    async with limited(200_000, "any") as port:
        assert told(await limits(look(f"http://127.0.0.1:{port}"))) == ["ok: connectors/c1: takes heads of 120 KiB"]


@pytest.mark.parametrize(
    ("limit", "server", "found", "repair"),
    [
        (8190, "Apache/2.4", "takes heads of 8 KiB, and answers one of 16 KiB with 431", "LimitRequestFieldSize"),
        (16384, "Microsoft-HTTPAPI/2.0", "takes heads of 16 KiB, and answers one of 32 KiB with 431", "MaxFieldLength"),
        (40000, "", "takes heads of 32 KiB, and answers one of 64 KiB with 431", "MAX_HEADER_SIZE"),
    ],
)
async def test_one_with_a_limit(look: Looking, limit: int, server: str, found: str, repair: str) -> None:
    async with limited(limit, server) as port:
        said = only(await limits(look(f"http://127.0.0.1:{port}")))
    assert (said.outcome, said.found) == (Outcome.WARNING, found)
    assert repair in said.repair


async def test_one_that_closes(look: Looking) -> None:
    async with limited(20000, "", b"") as port:
        assert "with no answer" in only(await limits(look(f"http://127.0.0.1:{port}"))).found


async def test_no_more_is_tried_than_the_listener_lets_through(look: Looking) -> None:
    async with limited(20000, "") as port:
        found = await limits(look(f"http://127.0.0.1:{port}", listener='max_header_size = "16KiB"'))
    assert told(found) == [
        "warning: listener login: max_header_size is 16384 bytes; a large ticket has 65536",
        "ok: connectors/c1: takes heads of 16 KiB",
    ]


async def test_one_that_is_away_is_not_seen(look: Looking) -> None:
    async with limited(1, "") as port:
        pass
    assert told(await limits(look(f"http://127.0.0.1:{port}"))) == [
        "not seen: connectors/c1: it cannot be asked: connection refused"
    ]
