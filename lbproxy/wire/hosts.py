"""Which server a Host value, or a URL, names."""

from __future__ import annotations

from urllib.parse import SplitResult

_DEFAULT_PORTS = {"http": 80, "https": 443}


def port_of(url: SplitResult) -> int:
    """The port of a URL, or its scheme's own (RFC 9110 section 4.2). KeyError: there is neither."""
    return url.port or _DEFAULT_PORTS[url.scheme]


def without_port(host: bytes) -> str:
    """The name or address in a Host value (RFC 9110 section 7.2), lower case; [v6] keeps its brackets."""
    name = host.decode("ascii").lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]"
    return name.partition(":")[0]
