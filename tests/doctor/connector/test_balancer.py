from __future__ import annotations

import pytest

from lbproxy.doctor.connector.balancer import reached
from lbproxy.doctor.finding import UnseenError
from tests.doctor.connector.conftest import Looking
from tests.doctor.looking import told
from tests.doctor.servers import limited


async def test_a_balancer_that_is_reached_and_one_that_is_not(look: Looking) -> None:
    async with limited(1000, "") as port:
        sight = look(asked={"server_url": f"http://127.0.0.1:{port}"})
        assert told(await reached(sight)) == [f"ok: http://127.0.0.1:{port} accepts connections from here"]
    assert told(await reached(sight)) == [f"problem: http://127.0.0.1:{port}: connection refused"]


@pytest.mark.parametrize("url", ["", "ldap://x", "x"])
async def test_one_that_is_not_known(look: Looking, url: str) -> None:
    with pytest.raises(UnseenError):
        await reached(look(asked={"server_url": url}))
