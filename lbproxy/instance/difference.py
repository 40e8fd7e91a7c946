"""In what two instances differ, and what that does to users."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lbproxy.errors import InstanceError
from lbproxy.instance import digests
from lbproxy.instance.kinds import harm
from lbproxy.instance.model import Instance, Openness

_LONGEST = 60  # characters of a value that are shown


class Side(NamedTuple):
    """One of the two: as much of it as can be known.

    instance  with its secrets, if they can be read
    values    by aspect and part, as the manifest of a pack has them; None if only facts are known
    facts     one value for each aspect
    """

    name: str
    kind: str
    key_id: str
    facts: Mapping[str, str]
    values: digests.Described | None = None
    instance: Instance | None = None


class Finding(NamedTuple):
    """`parts` of an aspect that differ; `left` and `right` are "" where they are not to be seen."""

    aspect: str
    parts: Sequence[str]
    left: str
    right: str
    effect: str


class Comparison(NamedTuple):
    """`unknown`: aspects that could not be compared, and why."""

    findings: Sequence[Finding]
    unknown: Mapping[str, str]

    @property
    def same(self) -> bool:
        """Whether everything was compared, and is equal."""
        return not self.findings and not self.unknown


def side(name: str, instance: Instance) -> Side:
    """The side of an instance whose files are at hand."""
    key = digests.digest_key(instance.material)
    values = digests.describe(instance, key, Openness.PUBLIC)
    return Side(name, instance.kind, digests.key_id(key), digests.facts(instance, key), values, instance)


def compare(left: Side, right: Side) -> Comparison:
    """What is to be said of the two. Raises InstanceError if they are of different kinds."""
    if left.kind != right.kind:
        raise InstanceError(f"{left.name} is of the kind {left.kind}, and {right.name} of {right.kind}")
    if left.instance is not None and right.instance is not None:
        key = os.urandom(32)  # both are digested under it here, so digests of all secrets can be compared
        described = [digests.describe(one, key, Openness.INTERNAL) for one in (left.instance, right.instance)]
        return _compare(left.kind, described[0], described[1], True)
    same_key = left.key_id == right.key_id != ""
    if left.values is not None and right.values is not None:
        return _compare(left.kind, left.values, right.values, same_key)
    facts = [{aspect: {aspect: value} for aspect, value in one.facts.items()} for one in (left, right)]
    return _compare(left.kind, facts[0], facts[1], same_key)


def _compare(kind: str, left: digests.Described, right: digests.Described, same_key: bool) -> Comparison:
    findings, unknown = [], {}
    for aspect in [*left, *(one for one in right if one not in left)]:
        if aspect not in left or aspect not in right:
            unknown[aspect] = f"it is known of {'the first' if aspect in left else 'the second'} only"
            continue
        here, there = left[aspect], right[aspect]
        parts = sorted(part for part in here.keys() | there.keys() if here.get(part, "") != there.get(part, ""))
        hidden = [part for part in parts if not same_key and _is_keyed(here.get(part), there.get(part))]
        if hidden:
            unknown[aspect] = "digests of secrets cannot be compared: the two do not have the same signing key"
        told = [part for part in parts if part not in hidden]
        if told:
            findings.append(Finding(aspect, told, _seen(here, told), _seen(there, told), harm(kind, aspect, told)))
    return Comparison(findings, unknown)


def _is_keyed(*values: str | None) -> bool:
    return any(value is not None and value.startswith(("hmac:", digests.UNKNOWN)) for value in values)


def _seen(parts: Mapping[str, str], told: Sequence[str]) -> str:
    """The value of a single part, if it is one for people."""
    if len(told) != 1 or parts.get(told[0], "").startswith(("hmac:", "sha256:", digests.UNKNOWN)):
        return ""
    value = parts.get(told[0], "") or "not set"
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}..."
