"""The PROXY header: the addresses of a connection, told by the proxy that relays it.

Versions 1 and 2 of HAProxy's doc/proxy-protocol.txt; the sections named here are that document's. Whether there is a
header is never guessed (section 2): the caller knows which peers send one. Every address comes out in one spelling, an
IPv4 address inside an IPv6 one as IPv4, so that it compares with the address of a socket.
"""

from __future__ import annotations

import re
import struct
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from typing import Literal, NamedTuple

from lbproxy.ip_addresses import IpAddress

Address = tuple[str, int]
"""Host and port, as a socket has them."""


MAX_SIZE = 4096
"""Bytes of the largest header that is taken. Those of version 2 fit into 536 (section 2) but for long TLVs."""


class MalformedProxyHeader(ValueError):
    """The first bytes are no PROXY header, or not one that the document allows; the text says why."""


class ProxyHeader(NamedTuple):
    """A header of `size` bytes, and the ends of the connection that it tells of.

    Both ends are None where the connection's own addresses count: LOCAL (a health check of the proxy), UNKNOWN, and
    all that is not TCP over IPv4 or IPv6.
    """

    size: int
    source: Address | None = None
    destination: Address | None = None


def parse(data: bytes) -> ProxyHeader | None:
    """The header that a connection's first bytes, `data`, begin with; None when they are all of it but not yet whole.

    Raises MalformedProxyHeader for anything else: bytes that begin otherwise at once, a line when it has ended.
    """
    if data[:1] == b"P":
        return _parse_v1(data)
    return _parse_v2(data)


def encode(version: Literal["v1", "v2"], source: Address | None, destination: Address | None) -> bytes:
    """The header for a connection from `source` to `destination`; UNKNOWN or LOCAL when either is None.

    Raises ValueError for a host that is not an address.
    """
    if source is None or destination is None:
        return b"PROXY UNKNOWN\r\n" if version == "v1" else _SIGNATURE + bytes((_VERSION_2 | _LOCAL, 0, 0, 0))
    hosts = _of_one_family(_host(source[0]), _host(destination[0]))
    ports = source[1], destination[1]
    return _encode_v1(hosts, ports) if version == "v1" else _encode_v2(hosts, ports)


def _host(text: str) -> IpAddress:
    """An address without its scope (`fe80::1%eth0`), which means nothing on another machine."""
    return _plain(ip_address(text.partition("%")[0]))


def _plain(host: IpAddress) -> IpAddress:
    """An IPv4 address inside an IPv6 one (RFC 4291 section 2.5.5.2) is that IPv4 address."""
    return (isinstance(host, IPv6Address) and host.ipv4_mapped) or host


def _of_one_family(source: IpAddress, destination: IpAddress) -> tuple[IpAddress, IpAddress]:
    """Both, as IPv6 when they differ: a header has one family for its two addresses (sections 2.1 and 2.2)."""
    if source.version == destination.version:
        return source, destination
    return _as_v6(source), _as_v6(destination)


def _as_v6(host: IpAddress) -> IPv6Address:
    return host if isinstance(host, IPv6Address) else IPv6Address(b"\0" * 10 + b"\xff\xff" + host.packed)


# --- version 1, section 2.1: one line of text

_V1_START = b"PROXY "
_V1_MAX = 107  # bytes with CR LF
_V1_LINE = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?"  # whatever follows is ignored
    rb"|(TCP[46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))\r\n"
)
_V1_FAMILIES: dict[bytes, type[IpAddress]] = {b"TCP4": IPv4Address, b"TCP6": IPv6Address}


def _parse_v1(data: bytes) -> ProxyHeader | None:
    if not data.startswith(_V1_START[: len(data)]):
        raise MalformedProxyHeader("the first bytes are not a PROXY header")
    line = data[:_V1_MAX]
    size = line.find(b"\n") + 1
    if not size:
        if len(line) == _V1_MAX:
            raise MalformedProxyHeader("a PROXY line of more than 107 bytes")
        return None
    found = _V1_LINE.fullmatch(line, 0, size)
    if found is None:
        raise MalformedProxyHeader("a malformed PROXY line")
    return _v1_header(size, *found.groups()) if found[1] else ProxyHeader(size)


def _v1_header(size: int, family: bytes, source: bytes, destination: bytes, *ports: bytes) -> ProxyHeader:
    try:  # leading zeros are refused, as section 2.1 wants it
        hosts = [_plain(_V1_FAMILIES[family](host.decode("ascii"))) for host in (source, destination)]
    except AddressValueError:
        raise MalformedProxyHeader("a PROXY line with a malformed address") from None
    numbers = [int(port) for port in ports]
    if max(numbers) > 65535:
        raise MalformedProxyHeader("a PROXY line with a port above 65535")
    return _header(size, hosts, numbers)


def _encode_v1(hosts: tuple[IpAddress, IpAddress], ports: tuple[int, int]) -> bytes:
    words = ("PROXY", f"TCP{hosts[0].version}", *map(_v1_text, hosts), *map(str, ports))
    return " ".join(words).encode("ascii") + b"\r\n"


def _v1_text(host: IpAddress) -> str:
    """In hexadecimal alone, as section 2.1 wants it; some versions of Python write `::ffff:192.0.2.1`."""
    if isinstance(host, IPv6Address) and host.ipv4_mapped:
        return f"::ffff:{int(host) >> 16 & 0xFFFF:x}:{int(host) & 0xFFFF:x}"
    return str(host)


# --- version 2, section 2.2: sixteen bytes, addresses, then type-length-value fields (TLVs)

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_START = struct.Struct("!12sBBH")  # signature, version and command, family and protocol, bytes that follow
_VERSION_2, _LOCAL, _PROXY = 0x20, 0x0, 0x1
_INET, _INET6, _UNIX = 0x1, 0x2, 0x3
_UNSPEC, _STREAM, _DGRAM = 0x0, 0x1, 0x2  # _UNSPEC is a family as well
_ADDRESSES = {_INET: struct.Struct("!4s4sHH"), _INET6: struct.Struct("!16s16sHH"), _UNIX: struct.Struct("!108s108s")}
_TLV = struct.Struct("!BH")
_CRC32C = 0x03


def _parse_v2(data: bytes) -> ProxyHeader | None:
    if not data.startswith(_SIGNATURE[: len(data)]):
        raise MalformedProxyHeader("the first bytes are not a PROXY header")
    if len(data) < _START.size:
        return None
    _, command, protocol, length = _START.unpack_from(data)
    if command not in (_VERSION_2 | _LOCAL, _VERSION_2 | _PROXY):
        raise MalformedProxyHeader(f"a PROXY header of version and command {command:#04x}")
    size = _START.size + length
    if size > MAX_SIZE:
        raise MalformedProxyHeader(f"a PROXY header of {size} bytes")
    if len(data) < size:
        return None
    if command == _VERSION_2 | _LOCAL:  # the block is discarded, its family included
        return ProxyHeader(size)
    return _v2_header(data[:size], protocol >> 4, protocol & 0xF)


def _v2_header(header: bytes, family: int, transport: int) -> ProxyHeader:
    if family > _UNIX or transport > _DGRAM:
        raise MalformedProxyHeader(f"a PROXY header of address family {family} and transport {transport}")
    if _UNSPEC in (family, transport):  # what follows has no known form
        return ProxyHeader(len(header))
    addresses = _ADDRESSES[family]
    if _START.size + addresses.size > len(header):
        raise MalformedProxyHeader("a PROXY header that is too short for its addresses")
    _check_tlvs(header, _START.size + addresses.size)
    if family == _UNIX or transport == _DGRAM:
        return ProxyHeader(len(header))
    source, destination, *ports = addresses.unpack_from(header, _START.size)
    return _header(len(header), [_plain(ip_address(packed)) for packed in (source, destination)], ports)


def _check_tlvs(header: bytes, at: int) -> None:
    """That the TLVs from `at` on fill the header, and that a checksum among them is right; the others are skipped."""
    while at < len(header):
        value = at + _TLV.size
        if value > len(header):
            raise MalformedProxyHeader("a PROXY header that ends inside a TLV")
        kind, length = _TLV.unpack_from(header, at)
        at = value + length
        if at > len(header):
            raise MalformedProxyHeader("a PROXY header with a TLV that is longer than it")
        if kind == _CRC32C and not _has_checksum(header, value, at):
            raise MalformedProxyHeader("a PROXY header with a wrong checksum")


def _has_checksum(header: bytes, start: int, end: int) -> bool:
    """Whether header[start:end] is the CRC32c of the header with zeros in its place (section 2.2.3)."""
    zeroed = header[:start] + bytes(end - start) + header[end:]
    return header[start:end] == _crc32c(zeroed).to_bytes(4)


def _crc32c(data: bytes) -> int:
    """The checksum of RFC 4960 appendix B; zlib has the one of another polynomial only."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _crc_entry(crc: int) -> int:
    for _ in range(8):
        crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc


_CRC_TABLE = tuple(map(_crc_entry, range(256)))


def _encode_v2(hosts: tuple[IpAddress, IpAddress], ports: tuple[int, int]) -> bytes:
    family = _INET if hosts[0].version == 4 else _INET6
    addresses = _ADDRESSES[family].pack(hosts[0].packed, hosts[1].packed, *ports)
    return _START.pack(_SIGNATURE, _VERSION_2 | _PROXY, family << 4 | _STREAM, len(addresses)) + addresses


def _header(size: int, hosts: list[IpAddress], ports: list[int]) -> ProxyHeader:
    return ProxyHeader(size, (str(hosts[0]), ports[0]), (str(hosts[1]), ports[1]))
