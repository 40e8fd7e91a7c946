from __future__ import annotations

from collections.abc import Sequence

import pytest

from lbproxy.balance.member import Member
from lbproxy.control.discovery.dns_members import Service, at_addresses, at_services, in_order, scaled

AT = {"a.test": "10.0.0.1", "b.test": "::1"}


def test_each_address_is_a_member_named_by_it() -> None:
    assert at_addresses(["::1", "10.0.0.10", "10.0.0.9", "::1"], "http", 80) == (
        Member("10.0.0.9", "http://10.0.0.9:80"),
        Member("10.0.0.10", "http://10.0.0.10:80"),
        Member("::1", "http://[::1]:80"),
    )
    assert in_order([]) == []


def test_every_member_is_one_that_a_pool_can_have() -> None:
    members = (
        *at_addresses(["::1", "10.0.0.1"], "tcp", 1),
        *at_services([Service(0, 7, 1, "a.test")], AT.get, "tcp")[0],
    )
    assert [member.problem() for member in members] == ["", "", ""]


def test_services() -> None:
    services = [Service(10, 5, 4001, "b.test"), Service(10, 60, 4000, "a.test"), Service(20, 0, 4000, "b.test")]
    assert at_services(services, AT.get, "https") == (
        (
            Member("a.test:4000", "https://10.0.0.1:4000", 60),
            Member("b.test:4000", "https://[::1]:4000", 1, standby=True),
            Member("b.test:4001", "https://[::1]:4001", 5),
        ),
        (),
    )


@pytest.mark.parametrize(
    ("service", "told"),
    [
        (Service(0, 1, 80, "x.test"), ("x.test:80: x.test has no address",)),
        (Service(0, 1, 0, "a.test"), ("a.test:0: an SRV record without a port",)),
        (Service(0, 1, 80, ""), ()),
    ],
)
def test_services_that_are_none(service: Service, told: tuple[str, ...]) -> None:
    members, left_out = at_services([service, Service(9, 1, 80, "a.test")], AT.get, "http")
    assert [member.name for member in members] == ["a.test:80"]
    assert left_out == told


def test_the_lowest_priority_of_a_target_counts() -> None:
    members, _ = at_services([Service(2, 7, 80, "a.test"), Service(1, 9, 80, "a.test")], AT.get, "http")
    assert members == (Member("a.test:80", "http://10.0.0.1:80", 9),)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([], []),
        ([0], [1]),
        ([0, 0], [1, 1]),
        ([1, 2], [1, 2]),
        ([100, 1], [100, 1]),
        ([200, 100], [100, 50]),
        ([65535, 1], [100, 1]),
        ([1, 0], [100, 1]),
        ([50, 25, 0], [100, 50, 1]),
    ],
)
def test_weights_keep_their_proportions(weights: Sequence[int], expected: list[int]) -> None:
    assert scaled(weights) == expected
