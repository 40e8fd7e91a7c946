from __future__ import annotations

import pytest

from lbproxy.doctor.elsewhere import balancer, elsewhere_checks, past
from lbproxy.doctor.finding import Outcome, UnseenError
from tests.doctor.looking import only, told
from tests.doctor.servers import limited


async def test_a_balancer_that_is_reached_and_one_that_is_not() -> None:
    async with limited(1000, "") as port:
        url = f"http://127.0.0.1:{port}"
        assert told(await balancer(url)) == [f"ok: {url} accepts connections from here"]
    assert told(await balancer(url)) == [f"problem: {url}: connection refused"]


@pytest.mark.parametrize("url", ["", "ldap://x", "x", "http://a:b"])
async def test_one_that_is_not_known(url: str) -> None:
    with pytest.raises(UnseenError):
        await balancer(url)


async def test_a_backend_on_this_host_says_nothing() -> None:
    async with limited(1000, "") as port:
        url = f"http://127.0.0.1:{port}"
        assert told(await past([url])) == [f"not seen: {url}: is an address of this host"]
    assert only(await past([url])).outcome is Outcome.OK


async def test_a_name_that_is_not_known_says_nothing_and_the_others_are_tried() -> None:
    found = told(await past(["http://no.invalid:4000", "4000", "http://127.0.0.1:1"]))
    assert [one.partition(":")[0] for one in found] == ["not seen", "not seen", "ok"]


def test_the_checks() -> None:
    assert [one.name for one in elsewhere_checks(["http://a:1"], "")] == ["balancer", "past the balancer"]
