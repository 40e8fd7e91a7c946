"""From EndpointSlices (discovery.k8s.io/v1) of one Service to members. No I/O.

| conditions | the endpoint |
| --- | --- |
| terminating | leaves at once, if it serves or not: what it has may finish |
| ready; no condition at all | is a member |
| not ready | is none |

An endpoint may be in two slices for a moment, while it is moved from one to the other, and counts once. If both differ,
one of them is older: a pod that terminates never comes back, so terminating counts; else ready does, because a member
is probed anyway. Of a pod's addresses in both families the IPv4 one is its backend, so that every balancer takes the
same. A slice's endpoint may have several addresses; the first is used, as kube-proxy does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from ipaddress import ip_address
from typing import Any, NamedTuple

from lbproxy.balance.member import Member

SERVICE = "kubernetes.io/service-name"
"""The label that says which Service a slice belongs to."""

Port = int | str | None
"""Its number, its name, or None: the only one that there is."""


class State(IntEnum):
    """Of an endpoint; of two slices' the larger one counts."""

    UNREADY = 0
    READY = 1
    LEAVING = 2


class Endpoint(NamedTuple):
    """`uid` tells a pod from the one that has its name next."""

    member: Member
    uid: str
    address: str
    state: State


class Slice(NamedTuple):
    """`left_out` says, one sentence each, what cannot be a member; `ports` what there is, if the port is not."""

    endpoints: tuple[Endpoint, ...] = ()
    left_out: tuple[str, ...] = ()
    ports: str = ""


class Found(NamedTuple):
    """`leaving` are names of endpoints that terminate."""

    members: tuple[Member, ...]
    leaving: frozenset[str]
    left_out: tuple[str, ...]


def read_slice(told: Mapping[str, Any], scheme: str, port: Port) -> Slice:
    """The EndpointSlice `told`. Raises ValueError, TypeError, KeyError or AttributeError if it is none."""
    name = str(told["metadata"]["name"])
    endpoints = told.get("endpoints") or ()
    if not endpoints:
        return Slice()
    kind = told.get("addressType")
    if kind not in ("IPv4", "IPv6"):
        return Slice(left_out=(f"slice {name}: its addresses are of the type {kind}; only IPv4 and IPv6 are used",))
    ports = [one for one in told.get("ports") or () if one.get("protocol", "TCP") == "TCP"]
    number = _number(ports, port)
    if number is None:
        return Slice(ports=f"slice {name} has {_list_of(ports)}")
    found, left_out = [], []
    for one in endpoints:
        try:
            found.append(_endpoint(one, scheme, number))
        except ValueError as error:
            left_out.append(f"slice {name}: {error}")
    return Slice(tuple(found), tuple(left_out))


def merge(slices: Iterable[Slice]) -> Found:
    """All slices of the Service. Raises ValueError if none of them has the port, though they have endpoints."""
    pods: dict[tuple[str, str], Endpoint] = {}
    left_out: list[str] = []
    without_port: list[str] = []
    for one in slices:
        left_out += one.left_out
        if one.ports:
            without_port.append(one.ports)
        for endpoint in one.endpoints:
            pod = endpoint.member.name, endpoint.uid
            other = pods.get(pod)
            pods[pod] = endpoint if other is None else _one_of(endpoint, other)
    if without_port and not pods:
        raise ValueError(f"not one port fits: {'; '.join(sorted(without_port)[:3])}")
    members = {name: one.member for (name, _), one in pods.items() if one.state is State.READY}
    leaving = {name for (name, _), one in pods.items() if one.state is State.LEAVING}
    left_out += (f"not one port fits: {text}" for text in sorted(without_port))
    in_order = tuple(members[name] for name in sorted(members))
    return Found(in_order, frozenset(leaving - members.keys()), tuple(left_out))


def _number(ports: list[Mapping[str, Any]], port: Port) -> int | None:
    """The number of `port`; a Service without any ports (headless) has each."""
    if not ports and isinstance(port, int):
        return port
    fit = {one.get("port") for one in ports if port is None or port in (one.get("name"), one.get("port"))}
    number = fit.pop() if len(fit) == 1 else None
    return number if isinstance(number, int) else None


def _list_of(ports: list[Mapping[str, Any]]) -> str:
    """For people."""
    if not ports:
        return "no TCP port"
    return ", ".join(f"{one.get('name') or 'a port without a name'} ({one.get('port')})" for one in ports)


def _endpoint(told: Mapping[str, Any], scheme: str, port: int) -> Endpoint:
    """Raises ValueError if it has no address that is one."""
    address = str(ip_address(str((told.get("addresses") or ("nothing",))[0])))
    target = told.get("targetRef") or {}
    is_pod = target.get("kind") == "Pod" and target.get("name")
    name, uid = (str(target["name"]), str(target.get("uid", ""))) if is_pod else (address, "")
    host = f"[{address}]" if ":" in address else address
    return Endpoint(Member(name, f"{scheme}://{host}:{port}"), uid, address, _state(told.get("conditions") or {}))


def _state(conditions: Mapping[str, Any]) -> State:
    if conditions.get("terminating"):
        return State.LEAVING
    return State.UNREADY if conditions.get("ready") is False else State.READY


def _one_of(one: Endpoint, other: Endpoint) -> Endpoint:
    """Of the same pod: IPv4 before IPv6; of two in one family the ready one, or the lower as text."""
    chosen = min(one, other, key=lambda each: (":" in each.address, each.state is not State.READY, each.address))
    return chosen._replace(state=max(one.state, other.state))
