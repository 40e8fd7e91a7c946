"""Digests that can be compared, and from which no secret can be guessed.

The plain hash of a password is as good as the password to an attacker with a list of passwords. So what is secret is
hashed under a key (HMAC, RFC 2104). The key is made of a secret of high entropy that all instances have anyway, such as
the private key that they sign with: they agree on it without being told. Digests under two keys say nothing about each
other, so a digest is told with the `key_id` of its key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping

from lbproxy.instance.model import Instance, Openness, Value

_HEX = 32  # digits of a keyed digest: 128 bits

UNKNOWN = "?"
"""Stands for a secret where there is no key to make a digest with."""

Parts = Mapping[str, str]
Described = Mapping[str, Parts]
"""By aspect and part: a value as it is, or its digest."""


def digest_key(material: bytes | None) -> bytes | None:
    """The key, from a secret that all instances share."""
    return None if material is None else hmac.digest(b"lbproxy instance digests", material, "sha256")


def key_id(key: bytes | None) -> str:
    """Tells keys apart, and nothing else about them."""
    return "" if key is None else hmac.digest(key, b"id", "sha256").hex()[:16]


def keyed(key: bytes | None, label: str, content: bytes) -> str:
    """The digest of something secret. The label keeps two secrets that are equal from being seen to be."""
    if key is None:
        return UNKNOWN
    return f"hmac:{hmac.digest(key, label.encode() + bytes(1) + content, 'sha256').hex()[:_HEX]}"


def plain(content: bytes) -> str:
    """The digest of something that is not secret."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def text_digest(content: bytes) -> str:
    """The same of a text whose lines may end in either way: a copy by way of Windows is no other text."""
    return plain(content.replace(b"\r\n", b"\n"))


def describe(instance: Instance, key: bytes | None, upto: Openness) -> dict[str, dict[str, str]]:
    """Its values, as they are if they are as open as `upto`, and else as digests under `key`."""
    return {
        aspect: {part: _shown(value, key, f"{aspect} {part}", upto) for part, value in parts.items()}
        for aspect, parts in instance.values.items()
    }


def _shown(value: Value, key: bytes | None, label: str, upto: Openness) -> str:
    return value.text if value.openness <= upto else keyed(key, label, value.text.encode())


def facts(instance: Instance, key: bytes | None) -> dict[str, str]:
    """One value for each aspect, for the consistency guard; a fact that cannot be told is left out."""
    found = {}
    for aspect, parts in instance.values.items():
        values = list(parts.values())
        if len(values) == 1 and values[0].openness is Openness.PUBLIC:
            found[aspect] = values[0].text
            continue
        whole = json.dumps({part: value.text for part, value in sorted(parts.items())}).encode()
        if all(value.openness is Openness.PUBLIC for value in values):
            found[aspect] = plain(whole)
        elif key is not None:
            found[aspect] = keyed(key, aspect, whole)
    return found
