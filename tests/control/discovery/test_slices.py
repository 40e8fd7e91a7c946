from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from lbproxy.balance.member import Member
from lbproxy.control.discovery.slices import Found, Port, Slice, merge, read_slice
from tests.control.kubernetes.api_server import Object, endpoint, endpoint_slice, terminating


def found(*slices: Object, port: Port = "http", scheme: str = "http") -> Found:
    return merge(read_slice(one, scheme, port) for one in slices)


def names(*slices: Object) -> list[str]:
    return [member.name for member in found(*slices).members]


def test_each_ready_pod_is_a_member_in_the_order_of_names() -> None:
    one = endpoint_slice("c-1", endpoint("b", "10.0.0.2"), endpoint("a", "10.0.0.1"))
    two = endpoint_slice("c-2", endpoint("c", "10.0.0.3"), port=4001)
    assert found(one, two).members == (
        Member("a", "http://10.0.0.1:4000"),
        Member("b", "http://10.0.0.2:4000"),
        Member("c", "http://10.0.0.3:4001"),
    )


def test_one_that_is_no_pod_is_called_by_its_address() -> None:
    machine = endpoint("vm", "10.0.0.1")
    machine["targetRef"]["kind"] = "VirtualMachine"
    assert names(endpoint_slice("c-1", endpoint(None, "10.0.0.2"), machine)) == ["10.0.0.1", "10.0.0.2"]


@pytest.mark.parametrize(
    ("conditions", "member", "leaving"),
    [
        ({"ready": None}, True, False),
        ({"ready": True, "serving": True, "terminating": False}, True, False),
        ({"ready": False}, False, False),
        ({"ready": False, "serving": False, "terminating": False}, False, False),
        ({"ready": False, "serving": True, "terminating": True}, False, True),
        ({"ready": False, "serving": False, "terminating": True}, False, True),
        ({"ready": True, "serving": True, "terminating": True}, False, True),  # publishNotReadyAddresses
    ],
)
def test_conditions(conditions: dict[str, Any], member: bool, leaving: bool) -> None:
    it = found(endpoint_slice("c-1", endpoint("a", "10.0.0.1", **conditions)))
    assert (len(it.members), it.leaving) == (int(member), frozenset({"a"} if leaving else ()))


def test_conditions_that_are_missing_are_ready() -> None:
    bare = endpoint("a", "10.0.0.1")
    del bare["conditions"]
    assert names(endpoint_slice("c-1", bare)) == ["a"]


@pytest.mark.parametrize(
    ("older", "newer", "members"),
    [
        (endpoint("a", "10.0.0.1"), endpoint("a", "10.0.0.1"), ["a"]),
        (endpoint("a", "10.0.0.1"), terminating("a", "10.0.0.1"), []),
        (endpoint("a", "10.0.0.1", ready=False), endpoint("a", "10.0.0.1"), ["a"]),
    ],
)
def test_one_in_two_slices_counts_once(older: Object, newer: Object, members: list[str]) -> None:
    assert names(endpoint_slice("c-1", older), endpoint_slice("c-2", newer)) == members
    assert names(endpoint_slice("c-1", newer), endpoint_slice("c-2", older)) == members


def test_a_pod_with_addresses_of_both_families_is_one_backend() -> None:
    four = endpoint_slice("c-4", endpoint("a", "10.0.0.1"))
    six = endpoint_slice("c-6", endpoint("a", "fd00::1"), endpoint("b", "fd00:0::2"), family="IPv6")
    wanted = (Member("a", "http://10.0.0.1:4000"), Member("b", "http://[fd00::2]:4000"))
    assert found(four, six).members == found(six, four).members == wanted


def test_of_several_addresses_the_first_is_used() -> None:
    assert found(endpoint_slice("c-1", endpoint("a", "10.0.0.9", "10.0.0.1"))).members[0].url == "http://10.0.0.9:4000"


def test_the_order_of_slices_does_not_matter() -> None:
    slices = [
        endpoint_slice("c-1", endpoint("a", "10.0.0.1"), endpoint("b", "10.0.0.2"), terminating("c", "10.0.0.3")),
        endpoint_slice("c-2", endpoint("a", "10.0.0.1", ready=False), endpoint("c", "10.0.0.3")),
        endpoint_slice("c-3", terminating("b", "10.0.0.2"), endpoint("b", "10.0.0.9", uid="2")),
        endpoint_slice("c-6", endpoint("a", "fd00::1"), endpoint("c", "fd00::3"), family="IPv6"),
    ]
    wanted = found(*slices)
    assert [member.url for member in wanted.members] == ["http://10.0.0.1:4000", "http://10.0.0.9:4000"]
    assert wanted.leaving == {"c"}
    assert all(found(*order) == wanted for order in permutations(slices))


def test_the_next_pod_of_a_name_is_not_the_one_that_ends() -> None:
    """As a StatefulSet makes them."""
    old, new = terminating("c-0", "10.0.0.1"), endpoint("c-0", "10.0.0.7", uid="2")
    for one, two in ((old, new), (new, old)):
        it = found(endpoint_slice("s-1", one, two))
        assert (it.members, it.leaving) == ((Member("c-0", "http://10.0.0.7:4000"),), frozenset())


@pytest.mark.parametrize("port", ["http", 4000, None])
def test_the_port_by_name_by_number_or_the_only_one(port: Port) -> None:
    udp = {"name": "http", "port": 4000, "protocol": "UDP"}
    one = endpoint_slice("c-1", endpoint("a", "10.0.0.1"))
    one["ports"].append(udp)
    assert found(one, port=port, scheme="https").members == (Member("a", "https://10.0.0.1:4000"),)


@pytest.mark.parametrize("port", [4000, None, "web"])
def test_one_port_may_have_two_names(port: Port) -> None:
    one = endpoint_slice("c-1", endpoint("a", "10.0.0.1"))
    one["ports"].append({"name": "web", "port": 4000})
    assert found(one, port=port).members == (Member("a", "http://10.0.0.1:4000"),)


@pytest.mark.parametrize("ports", [None, []])
def test_a_service_without_ports_has_each(ports: Any) -> None:
    one = endpoint_slice("c-1", endpoint("a", "10.0.0.1")) | {"ports": ports}
    assert found(one, port=80).members == (Member("a", "http://10.0.0.1:80"),)
    with pytest.raises(ValueError, match=r"^not one port fits: slice c-1 has no TCP port$"):
        found(one, port="http")


@pytest.mark.parametrize("port", ["https", 80, None])
def test_a_port_that_does_not_fit_is_told_with_those_that_there_are(port: Port) -> None:
    one = endpoint_slice("c-1", endpoint("a", "10.0.0.1"))
    one["ports"] += [{"port": 9000}, {"name": "any", "port": None}]
    with pytest.raises(ValueError, match=r"slice c-1 has http \(4000\), a port without a name \(9000\), any \(None\)"):
        found(one, port=port)
    other = endpoint_slice("c-2", endpoint("b", "10.0.0.2"), port_name=str(port), port=port if port == 80 else 1)
    it = found(one, other, port=port)
    assert [member.name for member in it.members] == ["b"]
    assert it.left_out[0].startswith("not one port fits: slice c-1 has")


def test_a_port_that_any_number_is_good_for_is_none() -> None:
    one = endpoint_slice("c-1", endpoint("a", "10.0.0.1")) | {"ports": [{"name": "http", "port": None}]}
    with pytest.raises(ValueError, match="not one port fits"):
        found(one)


@pytest.mark.parametrize("addresses", [[], ["c.example"], ["10.0.0.300"]])
def test_an_endpoint_without_an_address_is_left_out(addresses: list[str]) -> None:
    it = found(endpoint_slice("c-1", endpoint("a", *addresses), endpoint("b", "10.0.0.2")))
    assert [member.name for member in it.members] == ["b"]
    assert len(it.left_out) == 1
    assert it.left_out[0].startswith("slice c-1: ")


def test_addresses_that_are_names_are_left_out() -> None:
    it = found(endpoint_slice("c-1", endpoint("a", "c.example"), family="FQDN"))
    assert it == Found((), frozenset(), ("slice c-1: its addresses are of the type FQDN; only IPv4 and IPv6 are used",))


def test_an_empty_slice_needs_no_port() -> None:
    assert read_slice(endpoint_slice("c-1") | {"ports": None, "addressType": ""}, "http", 80) == Slice()
    assert merge(()) == Found((), frozenset(), ())


def test_2000_in_20_slices() -> None:
    slices = [
        endpoint_slice(f"c-{number}", *(endpoint(f"p-{number}-{one}", f"10.1.{number}.{one}") for one in range(100)))
        for number in range(20)
    ]
    assert len(found(*slices).members) == 2000


@pytest.mark.parametrize("told", [{}, {"metadata": {"name": "c"}, "endpoints": 1, "addressType": "IPv4"}])
def test_what_is_no_slice(told: Any) -> None:
    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        read_slice(told, "http", 80)
