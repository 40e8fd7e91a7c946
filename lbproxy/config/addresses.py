"""Where things listen and live: binds, networks, hosts and URLs.

Each reader takes what the TOML file holds and returns a value or raises ValueError with a sentence for people.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from lbproxy.ip_addresses import IpAddress, ip_of

Network = IPv4Network | IPv6Network

_UNIX_PATH_LIMIT = 107
"""Bytes of sun_path in unix(7), without the final NUL."""

_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.(?!-)[A-Za-z0-9_-]{1,63})*")
_BIND = re.compile(r"(\[[^\]]*\]|[^:\[\]]*):([0-9]{1,5})")
_URL_CHARACTERS = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Address:
    """What to bind: a Unix socket's absolute `path`, or `host` (no brackets) and `port` (0: any free one)."""

    host: str = ""
    port: int = 0
    path: Path | None = None

    def __str__(self) -> str:
        """As the configuration file writes it."""
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def ip(self) -> IpAddress | None:
        """`host` as an IP address; None for a name, and for a Unix socket."""
        return ip_of(self.host)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it: a Unix socket or a loopback address."""
        if self.path is not None or self.host == "localhost":
            return True
        return self.ip is not None and self.ip.is_loopback


NOWHERE = Path("/")
"""The base of addresses that are no paths."""


def address(value: object, base: Path) -> Address:
    """An Address from host:port, [v6]:port or unix:PATH; a relative PATH is below `base`."""
    text = _string(value)
    if text.startswith("unix:"):
        return _unix_address(text.removeprefix("unix:"), base)
    match = _BIND.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not host:port, [v6]:port or unix:PATH")
    host, port = match[1], int(match[2])
    if not host:
        raise ValueError(
            f'{text!r} has no host; for every address write "0.0.0.0:{port}" (IPv4) or "[::]:{port}" (IPv6)'
        )
    if port > 65535:
        raise ValueError(f"{port} is not a port; the highest is 65535")
    return Address(_check_host(host).strip("[]"), port)


def network(value: object) -> Network:
    """An IP network from "10.0.0.0/8"; a single address is the network that holds only it."""
    text = _string(value)
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not an address or a network such as 10.0.0.0/8") from None
    raise ValueError(f"{text!r} has bits set after its prefix; did you mean {meant}?")


def virtual(value: object) -> IpAddress:
    """An address that moves between hosts, as text without prefix."""
    text = _string(value)
    found = ip_of(text)
    if found is None:
        raise ValueError(f"{text!r} is not an IP address such as 192.0.2.10, without prefix and port")
    if found.is_loopback or found.is_unspecified or found.is_multicast:
        raise ValueError(f"{text} cannot move from one host to another")
    return found


def host(value: object) -> str:
    """A host in lower case as a Host header has it, without port: a name, an IPv4 address or a [v6] one."""
    return _check_host(_string(value)).lower()


def server_name(value: object) -> str:
    """A server name of TLS in lower case: a host's name, or *.NAME for every name that has one label more.

    An address is none (RFC 6066 section 3), so no client could ask for it.
    """
    text = _string(value)
    name = text.removeprefix("*.")
    if not _HOST.fullmatch(name) or ip_of(name):
        raise ValueError(f"{text!r} is not a server name such as login.corp.example or *.corp.example")
    return text.lower()


def origin(value: object, schemes: tuple[str, ...]) -> str:
    """scheme://host[:port] as written, with one of `schemes`; a lone final slash is dropped."""
    text = _string(value)
    parts = absolute_url(text, schemes)
    if parts.path not in ("", "/") or parts.query or parts.fragment or text.endswith(("?", "#")):
        raise ValueError(f"{text!r} must end after the host and port, without path or query")
    return text.removesuffix("/")


def absolute_url(text: str, schemes: tuple[str, ...]) -> SplitResult:
    """The parts of an absolute URL with one of `schemes` (RFC 3986), its host and port checked; no user name in it."""
    wanted = " or ".join(f"{scheme}://" for scheme in schemes)
    if not _URL_CHARACTERS.fullmatch(text):
        raise ValueError(f"{text!r} is not a URL that begins with {wanted}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{text!r} is not a URL: {error}") from None
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"{text!r} is not a URL that begins with {wanted} and names a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL here must not carry a user name or a password")
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError(f"{text!r} has no usable port")
    _check_host(url_host(parts))
    return parts


def url_host(parts: SplitResult) -> str:
    """The host of a URL in lower case, as a Host header has it: [v6] in brackets, no port."""
    name = parts.hostname or ""
    return f"[{name}]" if ":" in name else name


def _unix_address(path: str, base: Path) -> Address:
    if not path or "\0" in path:
        raise ValueError("unix: must be followed by a path")
    whole = base / path
    if len(bytes(whole)) > _UNIX_PATH_LIMIT:
        raise ValueError(f"the path is longer than the {_UNIX_PATH_LIMIT} bytes that a Unix socket may have")
    return Address(path=whole)


def _check_host(text: str) -> str:
    if text.startswith("[") and text.endswith("]"):
        try:
            IPv6Address(text[1:-1])
        except ValueError:
            raise ValueError(f"{text!r} is not an IPv6 address") from None
    elif not _HOST.fullmatch(text):
        raise ValueError(f"{text!r} is not a host: a name, an IPv4 address or a [v6] one, without a port")
    return text


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a string")
    return value
