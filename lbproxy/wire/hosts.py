"""Which server a Host value names."""

from __future__ import annotations


def without_port(host: bytes) -> str:
    """The name or address in a Host value (RFC 9110 section 7.2), lower case; [v6] keeps its brackets."""
    name = host.decode("ascii").lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]"
    return name.partition(":")[0]
