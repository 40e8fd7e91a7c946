"""What becomes of a new TCP connection in a firewall of nftables, from the rules alone.

`ruleset` is the object that `nft -j list ruleset` prints (libnftables-json(5)). A rule that asks for what is not known
here, such as the name of the interface, may match or not: then both ends are possible.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
    summarize_address_range,
)
from typing import Any, NamedTuple

from lbproxy.ip_addresses import IpAddress

Source = IPv4Network | IPv6Network

ACCEPT, DROP = "accept", "drop"
_NEXT, _RETURN = "continue", "return"  # to the next rule; out of the chain, whose end is the same
_ANYTHING = frozenset({ACCEPT, DROP, _NEXT})
_VERDICTS = {"accept": ACCEPT, "drop": DROP, "reject": DROP, "return": _RETURN, "continue": _NEXT}
_HOOKS = ("ingress", "prerouting", "input")
_NEUTRAL = {"counter", "log", "mangle", "notrack", "ct helper", "ct timeout"}
_OPAQUE = {"xt", "queue", "map"}
"""Statements that may end a rule in a way that is not known here."""
_DEEPEST = 16  # jumps, NFT_JUMP_STACK_SIZE

Object = Mapping[str, Any]


class Connection(NamedTuple):
    """A new connection from another host: by which address it comes, and to which port."""

    source: IpAddress
    port: int

    def value(self, left: Any) -> Any:
        """Of what a rule asks for: a value; False if this connection has no such field; None if it is not known."""
        match left:
            case {"meta": {"key": "nfproto"}}:
                return f"ipv{self.source.version}"
            case {"meta": {"key": "protocol"}}:
                return "ip" if self.source.version == 4 else "ip6"
            case {"meta": {"key": "l4proto"}}:
                return "tcp"
            case {"payload": {"protocol": "tcp" | "th", "field": "dport"}}:
                return self.port
            case {"payload": {"protocol": "ip" | "ip6" as protocol, "field": field}}:
                return self._field_of_ip(field) if protocol == self._protocol else False
            case {"payload": {"protocol": "udp" | "icmp" | "icmpv6" | "sctp" | "dccp"}}:
                return False
            case {"ct": {"key": "state"}}:
                return "new"
        return None

    @property
    def _protocol(self) -> str:
        return "ip" if self.source.version == 4 else "ip6"

    def _field_of_ip(self, field: str) -> Any:
        return {"saddr": self.source, "protocol": "tcp", "nexthdr": "tcp"}.get(field)


def ends(ruleset: Object, connection: Connection) -> frozenset[str]:
    """ACCEPT, DROP, or both if the rules alone do not say."""
    tables = _Tables(ruleset)
    found = {ACCEPT}
    for chain in tables.bases(f"ip{'' if connection.source.version == 4 else '6'}"):
        possible = tables.walk(chain, connection)
        if _RETURN in possible:
            possible = possible - {_RETURN} | {DROP if chain["policy"] == "drop" else ACCEPT}
        if chain["hook"] == "ingress":  # of one interface, which it may come by or not
            possible = possible | {ACCEPT}
        if possible == {DROP}:
            return frozenset({DROP})
        found |= possible
    return frozenset(found)


def sources(ruleset: Object) -> list[Source]:
    """Every address and network that a rule compares the sender with, once each."""
    tables = _Tables(ruleset)
    found: dict[Source, None] = {}
    for match in tables.matches():
        match match["left"]:
            case {"payload": {"protocol": "ip" | "ip6", "field": "saddr"}}:
                found.update(dict.fromkeys(_networks(tables.operands(match["right"], _Place.of(match)))))
    return list(found)


class _Place(NamedTuple):
    """A table, in which names of chains and sets are looked up."""

    family: str
    table: str

    @classmethod
    def of(cls, item: Object) -> _Place:
        return cls(item["family"], item["table"])


class _Tables:
    """Chains, rules and sets by their names."""

    def __init__(self, ruleset: Object) -> None:
        items = [entry for item in ruleset.get("nftables", []) for entry in item.items()]
        self._chains = {(_Place.of(one), one["name"]): one for kind, one in items if kind == "chain"}
        sets = [one for kind, one in items if kind in ("set", "map")]
        self._sets = {(_Place.of(one), one["name"]): one.get("elem", []) for one in sets}
        self._rules: dict[tuple[_Place, str], list[list[Object]]] = {key: [] for key in self._chains}
        for kind, one in items:
            if kind == "rule":
                self._rules.setdefault((_Place.of(one), one["chain"]), []).append(one.get("expr", []))

    def bases(self, family: str) -> list[Object]:
        """The chains that filter what comes in, in the order in which it passes them."""
        mine = [
            one
            for one in self._chains.values()
            if one.get("type") == "filter" and one.get("hook") in _HOOKS and one["family"] in ("inet", "netdev", family)
        ]
        return sorted(mine, key=lambda one: (_HOOKS.index(one["hook"]), one.get("prio", 0)))

    def matches(self) -> Iterator[Object]:
        """Every comparison of every rule, with the table that it is in."""
        for (place, _), rules in self._rules.items():
            for rule in rules:
                for statement in rule:
                    if "match" in statement:
                        yield {**statement["match"], **place._asdict()}

    def operands(self, right: Any, place: _Place) -> Iterator[Any]:
        """What a comparison compares with, one by one."""
        match right:
            case str() if right.startswith("@"):
                yield from self.operands({"set": self._sets.get((place, right[1:]), [])}, place)
            case {"set": elements} | list(elements):
                for element in elements if isinstance(elements, list) else [elements]:
                    yield from self.operands(element, place)
            case {"elem": {"val": value}}:
                yield from self.operands(value, place)
            case _:
                yield right

    def walk(self, chain: Object, connection: Connection, depth: int = 0) -> frozenset[str]:
        """How it may leave the chain: ACCEPT, DROP, _RETURN."""
        place, found = _Place.of(chain), set[str]()
        for rule in self._rules[place, chain["name"]]:
            possible = self._rule(rule, place, connection, depth)
            found |= possible - {_NEXT}
            if _NEXT not in possible:
                return frozenset(found)
        return frozenset({*found, _RETURN})

    def _rule(self, rule: Iterable[Object], place: _Place, connection: Connection, depth: int) -> frozenset[str]:
        sure, otherwise = True, frozenset({_NEXT})
        for statement in rule:
            [(kind, told)] = statement.items()
            if kind == "match":
                fits = self._fits(told, place, connection)
                if fits is False:
                    return frozenset({_NEXT})
                sure = sure and fits is True
            elif kind in ("jump", "goto", "vmap", *_VERDICTS):
                found = self._verdict(kind, told, place, connection, depth)
                return found if sure else found | {_NEXT}
            elif kind not in _NEUTRAL:
                sure, otherwise = False, _ANYTHING if kind in _OPAQUE else otherwise
        return otherwise

    def _verdict(self, kind: str, told: Any, place: _Place, connection: Connection, depth: int) -> frozenset[str]:
        if kind in _VERDICTS:
            return frozenset({_VERDICTS[kind]})
        if kind == "vmap":
            return self._mapped(told, place, connection, depth)
        chain = self._chains.get((place, told["target"]))
        if chain is None or depth >= _DEEPEST:
            return _ANYTHING
        found = self.walk(chain, connection, depth + 1)
        back = _NEXT if kind == "jump" else _RETURN
        return frozenset(back if one == _RETURN else one for one in found)

    def _mapped(self, told: Object, place: _Place, connection: Connection, depth: int) -> frozenset[str]:
        """`ct state vmap { established : accept, invalid : drop }`."""
        data, value = told["data"], connection.value(told["key"])
        pairs = self._sets.get((place, data[1:]), []) if isinstance(data, str) else data.get("set", [])
        found = {_NEXT}
        for key, verdict in pairs:
            fits = self._any(value, key, place)
            if fits is not False:
                [(kind, more)] = verdict.items()
                possible = self._verdict(kind, more, place, connection, depth)
                if fits:
                    return possible
                found |= possible
        return frozenset(found)

    def _fits(self, match: Object, place: _Place, connection: Connection) -> bool | None:
        """None: it is not known."""
        left, right, operator = match["left"], match["right"], match["op"]
        if left in ({"meta": {"key": "iifname"}}, {"meta": {"key": "iif"}}):
            # It comes from another host, by an interface that is not known.
            names = set(self.operands(right, place))
            return (operator == "!=") if names == {"lo"} else None
        value = connection.value(left)
        if value is not False and operator not in ("==", "!=", "in"):
            return None
        found = self._any(value, right, place)
        return found if operator != "!=" or found is None or value is False else not found

    def _any(self, value: Any, right: Any, place: _Place) -> bool | None:
        found = list(map(partial(_equal, value), self.operands(right, place)))
        return True if True in found else None if None in found else False


def _equal(value: Any, operand: Any) -> bool | None:
    """Whether the value is the operand, or in it; None: it is not known."""
    if value is None or value is False:
        return value
    if isinstance(value, IPv4Address | IPv6Address):
        found = list(_networks([operand]))
        return any(value in one for one in found) if found else None
    match operand:
        case {"range": [int(first), int(last)]} if isinstance(value, int):
            return first <= value <= last
        case "*":
            return True
        case str() | int():
            return bool(value == operand)
    return None


def _networks(operands: Iterable[Any]) -> Iterator[Source]:
    """Of addresses, prefixes and ranges; of a range the first and the last."""
    for operand in operands:
        match operand:
            case {"prefix": {"addr": str(address), "len": length}}:
                yield ip_network(f"{address}/{length}", strict=False)
            case {"range": [str(first), str(last)]}:
                yield from _range(first, last)
            case str():
                try:
                    yield ip_network(operand)
                except ValueError:
                    continue


def _range(first: str, last: str) -> Iterator[Source]:
    yield from summarize_address_range(ip_address(first), ip_address(last))
