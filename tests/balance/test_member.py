from __future__ import annotations

import pytest

from lbproxy.balance.member import Member

URL = "http://10.0.0.1:80"


@pytest.mark.parametrize(
    ("member", "part"),
    [
        (Member("a/b", URL), "slash"),
        (Member("", URL), "1 to 253"),
        (Member("x" * 254, URL), "254"),
        (Member("a b", URL), "space"),
        (Member("a\x07", URL), "control"),
        (Member("c1", URL, weight=101), "c1: weight is 101, it must be 0 to 100"),
        (Member("c1", URL, weight=-1), "weight is -1"),
        (Member("c1", "ftp://10.0.0.1"), "c1: ftp://10.0.0.1: the scheme"),
        (Member("c1", "tcp://10.0.0.1"), "a host and a port"),
        (Member("c1", "http://10.0.0.1:99999"), "c1: "),
    ],
)
def test_what_no_pool_can_have_is_told(member: Member, part: str) -> None:
    assert part in member.problem()


@pytest.mark.parametrize("name", ["c1", "login-7d9f4.pod", "2001:db8::1", "10.0.0.11"])
def test_names_of_pods_and_addresses_will_do(name: str) -> None:
    assert Member(name, URL, weight=0).problem() == ""
