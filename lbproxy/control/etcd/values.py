"""What etcd's JSON messages mean. Keys and values are in base64, and 64-bit numbers are strings (protobuf's JSON).

A field that has its default (0, "", false) is left out by etcd. Whatever cannot be read raises ValueError.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple

Message = Mapping[str, Any]
"""A JSON object of the gateway."""


class KeyValue(NamedTuple):
    """A key as it is. `created` and `modified` are revisions of the store; `lease` 0 is none."""

    key: str
    value: bytes
    created: int
    modified: int
    lease: int = 0


class Listing(NamedTuple):
    """What a range held, at `revision` of the whole store `cluster`; sorted by key."""

    values: tuple[KeyValue, ...]
    revision: int
    cluster: str = ""


class Event(NamedTuple):
    """`key` changed at `revision`; `value` None: it was deleted, or its lease ended."""

    key: str
    revision: int
    value: KeyValue | None


class Batch(NamedTuple):
    """What changed up to `revision`, oldest first. Without events: the watch stands, at first or again."""

    events: tuple[Event, ...]
    revision: int


class Transaction(NamedTuple):
    """`succeeded`: every comparison held. `listings` are those of its reads, in their order."""

    succeeded: bool
    listings: tuple[Listing, ...]
    revision: int


def encode(text: str | bytes) -> str:
    """A key or value as the gateway has it. Keys that are not UTF-8 came from `decode`, and go back unchanged."""
    return b64encode(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text).decode()


def decode(told: object) -> bytes:
    """The bytes of a key or value; b"" if it was left out."""
    if told is None:
        return b""
    if not isinstance(told, str):
        raise ValueError("not base64")
    return b64decode(told, validate=True)


def prefix_range(prefix: str) -> dict[str, str]:
    """The fields of a request that cover every key that begins with `prefix`, which must not be empty."""
    data = prefix.encode("utf-8", "surrogateescape")
    end = data.rstrip(b"\xff")
    assert end, "an empty prefix would be the whole store"
    return {"key": encode(data), "range_end": encode(end[:-1] + bytes([end[-1] + 1]))}


def revision(message: Message) -> int:
    """The revision of the store in the message's header."""
    header = message.get("header")
    return int(header.get("revision", 0)) if isinstance(header, Mapping) else 0


def cluster(message: Message) -> str:
    """Which cluster it is, by the message's header. One that was made anew of the same members has the same id."""
    header = message.get("header")
    return str(header.get("cluster_id", "")) if isinstance(header, Mapping) else ""


def key_value(told: Message) -> KeyValue:
    """An entry of `kvs`, or the `kv` of an event."""
    return KeyValue(
        decode(told.get("key")).decode("utf-8", "surrogateescape"),
        decode(told.get("value")),
        int(told.get("create_revision", 0)),
        int(told.get("mod_revision", 0)),
        int(told.get("lease", 0)),
    )


def listing(told: Message) -> Listing:
    """The answer to a range."""
    return Listing(tuple(key_value(one) for one in told.get("kvs", ())), revision(told), cluster(told))


def event(told: Message) -> Event:
    """One of the `events` of a watch; protobuf leaves out the type PUT, which is 0."""
    kv = key_value(told["kv"])
    return Event(kv.key, kv.modified, None if told.get("type") == "DELETE" else kv)


def transaction(told: Message) -> Transaction:
    """The answer to a txn."""
    answers = [one["response_range"] for one in told.get("responses", ()) if "response_range" in one]
    at = revision(told)
    return Transaction(told.get("succeeded") is True, tuple(listing(one)._replace(revision=at) for one in answers), at)


# --- the parts of a txn


def unchanged(key: str, modified: int) -> dict[str, Any]:
    """The comparison that `key` was last modified at this revision; 0: that there is no such key."""
    return {"key": encode(key), "target": "MOD", "result": "EQUAL", "mod_revision": str(modified)}


def put(key: str, value: bytes, lease: int = 0) -> dict[str, Any]:
    """The operation that writes `key`."""
    return {"request_put": {"key": encode(key), "value": encode(value), "lease": str(lease)}}


def delete(key: str) -> dict[str, Any]:
    """The operation that deletes `key`."""
    return {"request_delete_range": {"key": encode(key)}}


def read(key: str) -> dict[str, Any]:
    """The operation that reads `key`."""
    return {"request_range": {"key": encode(key)}}
