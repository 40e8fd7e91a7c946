"""PROXY headers: tables first, then what must hold for every header, then HAProxy's opinion."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from itertools import accumulate
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.wire.proxyproto import MAX_SIZE, Address, MalformedProxyHeader, ProxyHeader, encode, parse
from tests.wire.haproxy import needs_haproxy, relaying
from tests.wire.strategies import damaged, pieces

Version = Literal["v1", "v2"]
VERSIONS: tuple[Version, ...] = ("v1", "v2")

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
INET, INET6, UNIX = 0x11, 0x21, 0x31
PROXY, LOCAL = 0x21, 0x20

V4 = bytes((192, 0, 2, 1, 198, 51, 100, 2)) + struct.pack("!HH", 56324, 443)
V6 = ip_address("2001:db8::1").packed + ip_address("2001:db8::2").packed + struct.pack("!HH", 1, 65535)
ENDS_V4: tuple[Address, Address] = ("192.0.2.1", 56324), ("198.51.100.2", 443)
ENDS_V6: tuple[Address, Address] = ("2001:db8::1", 1), ("2001:db8::2", 65535)


def v2(rest: bytes, protocol: int = INET, command: int = PROXY, length: int | None = None) -> bytes:
    """A header of version 2 whose length fits, unless another one is told."""
    return SIGNATURE + struct.pack("!BBH", command, protocol, len(rest) if length is None else length) + rest


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def outcome(data: bytes) -> ProxyHeader | str | None:
    """What `parse` returns, or the text of the error that it raises."""
    try:
        return parse(data)
    except MalformedProxyHeader as error:
        return str(error)


# --- version 1

LINES: dict[bytes, tuple[Address, Address] | None] = {
    b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443": ENDS_V4,
    b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535": (("255.255.255.255", 65535),) * 2,
    b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0": (("0.0.0.0", 0),) * 2,
    b"PROXY TCP6 2001:db8::1 2001:DB8::2 1 65535": ENDS_V6,
    b"PROXY TCP6 2001:0db8:0000:0000:0000:0000:0000:0001 2001:db8:0:0:0:0:0:2 1 65535": ENDS_V6,
    b"PROXY TCP6 :: ::1 0 80": (("::", 0), ("::1", 80)),
    b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c633:6402 56324 443": ENDS_V4,
    b"PROXY TCP6 " + b" ".join([b"ffff" + b":ffff" * 7] * 2) + b" 65535 65535": (
        ("ffff" + ":ffff" * 7, 65535),
        ("ffff" + ":ffff" * 7, 65535),
    ),
    b"PROXY UNKNOWN": None,
    b"PROXY UNKNOWN ": None,
    b"PROXY UNKNOWN 192.0.2.1 anything \xff\0": None,
    b"PROXY UNKNOWN " + b" ".join([b"ffff" + b":ffff" * 7] * 2) + b" 65535 65535": None,
}


@pytest.mark.parametrize("line", LINES)
def test_lines_that_are_accepted(line: bytes) -> None:
    raw = line + b"\r\n"
    source, destination = LINES[line] or (None, None)
    assert parse(raw + b"GET / HTTP/1.1\r\n\r\n") == ProxyHeader(len(raw), source, destination)


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n",
        b"PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n",
        b"PROXY TCP4 192.0.2 198.51.100.2 1 2\r\n",
        b"PROXY TCP4 192.0.2.1.1 198.51.100.2 1 2\r\n",
        b"PROXY TCP4 +192.0.2.1 198.51.100.2 1 2\r\n",
        b"PROXY TCP4 0xc0.0.2.1 198.51.100.2 1 2\r\n",
        b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 2001:db8::2 1 2\r\n",
        b"PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n",
        b"PROXY TCP6 2001:db8::1 198.51.100.2 1 2\r\n",
        b"PROXY TCP6 2001:db8::1::2 2001:db8::2 1 2\r\n",
        b"PROXY TCP6 2001:db8:1 2001:db8::2 1 2\r\n",
        b"PROXY TCP6 2001:00db8::1 2001:db8::2 1 2\r\n",
        b"PROXY TCP6 1:2:3:4:5:6:7:8:9 2001:db8::2 1 2\r\n",
        b"PROXY TCP6 fe80::1%lo 2001:db8::2 1 2\r\n",
        b"PROXY TCP6 [2001:db8::1] 2001:db8::2 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 -1 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1 99999\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1 1000000\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1 \r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1\t2\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.2 1 \xb2\r\n",
        b"PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n",
        b"PROXY  TCP4 192.0.2.1 198.51.100.2 1 2\r\n",
        b"PROXY tcp4 192.0.2.1 198.51.100.2 1 2\r\n",
        b"PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n",
        b"PROXY TCP4\r\n",
        b"PROXY UNKNOWNS\r\n",
        b"PROXY unknown\r\n",
        b"PROXY UNKNOWN\n",
        b"PROXY UNKNOWN a\nb\r\n",
        b"PROXY UNKNOWN a\rb\r\n",
        b"PROXY \r\n",
        b"PROXY UNKNOWN " + b"x" * 93,  # 107 bytes, and no CR LF
        b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",  # 108 bytes with it
        b"PROXY\tUNKNOWN\r\n",
        b"POST / HTTP/1.1\r\n",
        b"PROXX",
        b"proxy UNKNOWN\r\n",
        b" PROXY UNKNOWN\r\n",
    ],
)
def test_lines_that_are_refused(line: bytes) -> None:
    with pytest.raises(MalformedProxyHeader):
        parse(line)


@pytest.mark.parametrize(
    "start", [b"\x16\x03\x01", b"GET / HTTP/1.1\r\n", b"\r\n\r\nG", b"\0", b"\r\n\r\n\0\r\nQUIT\r", b"PRI * HTTP/2.0"]
)
def test_what_begins_otherwise_is_refused_at_once(start: bytes) -> None:
    with pytest.raises(MalformedProxyHeader, match="not a PROXY header"):
        parse(start)


# --- version 2

NOOP = tlv(0x04, b"\0" * 7)
UNIX_PATHS = b"/run/a".ljust(108, b"\0") + b"/run/b".ljust(108, b"\0")
V2: dict[str, tuple[bytes, tuple[Address, Address] | None]] = {
    "TCP over IPv4": (v2(V4), ENDS_V4),
    "TCP over IPv6": (v2(V6, INET6), ENDS_V6),
    "IPv4 inside IPv6": (
        v2(b"".join(b"\0" * 10 + b"\xff\xff" + V4[i : i + 4] for i in (0, 4)) + V4[8:], 0x21),
        ENDS_V4,
    ),
    "with fields": (v2(V4 + NOOP + tlv(0x02, b"login.test") + tlv(0xE0, b"")), ENDS_V4),
    "with a field that is unassigned": (v2(V4 + tlv(0x99, b"?" * 300)), ENDS_V4),
    "the largest": (v2(V4 + tlv(0x04, bytes(MAX_SIZE - 16 - 12 - 3))), ENDS_V4),
    "UDP over IPv4": (v2(V4, 0x12), None),
    "UDP over IPv6": (v2(V6, 0x22), None),
    "UNIX stream": (v2(UNIX_PATHS, UNIX), None),
    "UNIX datagram, with a field": (v2(UNIX_PATHS + NOOP, 0x32), None),
    "unspecified": (v2(b"", 0x00), None),
    "unspecified, with what nobody knows": (v2(b"\1", 0x00), None),
    "an unspecified transport": (v2(b"?", 0x10), None),
    "an unspecified family": (v2(b"?", 0x01), None),
    "local": (v2(b"", 0x00, LOCAL), None),
    "local, with addresses": (v2(V4, INET, LOCAL), None),
    "local, of a family that is ignored": (v2(b"??", 0xFF, LOCAL), None),
}


@pytest.mark.parametrize("name", V2)
def test_headers_that_are_accepted(name: str) -> None:
    raw, ends = V2[name]
    source, destination = ends or (None, None)
    assert parse(raw + SIGNATURE) == ProxyHeader(len(raw), source, destination)


@pytest.mark.parametrize(
    "raw",
    [
        v2(V4, command=0x11),
        v2(V4, command=0x31),
        v2(V4, command=0x22),
        v2(V4, command=0x2F),
        v2(V4, command=0x01),
        v2(V4, 0x41),
        v2(V4, 0xF1),
        v2(V4, 0x13),
        v2(V4, 0x1F),
        v2(V4[:-1]),
        v2(b""),
        v2(V4, INET6),
        v2(UNIX_PATHS[:-1], UNIX),
        v2(V4 + b"\4"),
        v2(V4 + b"\4\0"),
        v2(V4 + b"\4\0\1"),
        v2(V4 + NOOP[:-1]),
        v2(V4 + NOOP + b"\0"),
        v2(V4 + b"\4\xff\xff" + b"x" * 100),
        v2(b"", length=MAX_SIZE - 15),  # refused before it has come
        v2(b"", 0x00, LOCAL, length=65535),
    ],
)
def test_headers_that_are_refused(raw: bytes) -> None:
    with pytest.raises(MalformedProxyHeader):
        parse(raw)


def test_a_checksum_is_verified() -> None:
    """Section 2.2.3. The sum is from a header that HAProxy 2.6 wrote."""
    ends = bytes((127, 0, 0, 1)) * 2 + struct.pack("!HH", 40000, 8080)
    good = v2(ends + tlv(0x03, bytes.fromhex("77b48515")))
    assert parse(good) == ProxyHeader(len(good), ("127.0.0.1", 40000), ("127.0.0.1", 8080))
    for at in {*range(16, len(good))} - {16 + len(ends)}:  # but the field's type: with another it is no checksum
        with pytest.raises(MalformedProxyHeader):
            parse(good[:at] + bytes((good[at] ^ 1,)) + good[at + 1 :])


@pytest.mark.parametrize("size", [0, 3, 5])
def test_a_checksum_of_another_size_is_wrong(size: int) -> None:
    with pytest.raises(MalformedProxyHeader, match="checksum"):
        parse(v2(V4 + tlv(0x03, bytes(size))))


# --- both

WHOLE = [line + b"\r\n" for line in LINES] + [raw for raw, _ in V2.values()]


@pytest.mark.parametrize("raw", WHOLE)
def test_nothing_is_known_before_the_last_byte(raw: bytes) -> None:
    assert {parse(raw[:size]) for size in range(len(raw))} == {None}


@given(st.data())
def test_pieces_and_damage_change_nothing_but_when_it_is_known(data: st.DataObject) -> None:
    """Whatever comes, the first answer that is not None is that of all bytes at once; and nothing else is raised."""
    raw = data.draw(damaged(st.sampled_from(WHOLE)) | st.sampled_from(WHOLE))
    raw += data.draw(st.sampled_from([b"", b"GET / HTTP/1.1\r\n\r\n"]))
    answers = [outcome(start) for start in accumulate(data.draw(pieces(raw)), initial=b"")]
    known = [answer for answer in answers if answer is not None]
    assert {outcome(raw)} == {*known[:1], *answers[-1:]}
    assert all(answer == known[0] for answer in known)


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda rest: SIGNATURE + b"\x21" + rest))
def test_any_bytes_are_understood_or_refused(raw: bytes) -> None:
    found = outcome(raw)
    assert found is None or isinstance(found, str) or found.size <= len(raw)


addresses = st.tuples(st.ip_addresses().map(str), st.integers(0, 65535))


@given(st.sampled_from(VERSIONS), addresses, addresses)
def test_what_is_encoded_is_parsed(version: Version, source: Address, destination: Address) -> None:
    raw = encode(version, source, destination)
    header = parse(raw + b"x")
    assert header is not None
    assert header.size == len(raw)
    for found, wanted in ((header.source, source), (header.destination, destination)):
        assert found is not None
        host = ip_address(wanted[0])
        assert found == (str(getattr(host, "ipv4_mapped", None) or host), wanted[1])


@pytest.mark.parametrize(
    ("source", "destination", "line", "block"),
    [
        (*ENDS_V4, b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", v2(V4)),
        (*ENDS_V6, b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", v2(V6, INET6)),
        (
            ("192.0.2.1", 5),
            ("2001:db8::2", 65535),
            b"PROXY TCP6 ::ffff:c000:201 2001:db8::2 5 65535\r\n",
            v2(b"\0" * 10 + b"\xff\xff" + V4[:4] + V6[16:32] + b"\0\5" + V6[34:], INET6),
        ),
        (("::ffff:192.0.2.1", 56324), ENDS_V4[1], b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", v2(V4)),
        (("2001:db8::1%eth0", 1), ENDS_V6[1], b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", v2(V6, INET6)),
        (None, ENDS_V4[1], b"PROXY UNKNOWN\r\n", v2(b"", 0, LOCAL)),
        (ENDS_V4[0], None, b"PROXY UNKNOWN\r\n", v2(b"", 0, LOCAL)),
        (None, None, b"PROXY UNKNOWN\r\n", v2(b"", 0, LOCAL)),
    ],
)
def test_encode(source: Address | None, destination: Address | None, line: bytes, block: bytes) -> None:
    assert encode("v1", source, destination) == line
    assert encode("v2", source, destination) == block


def test_a_name_is_no_address() -> None:
    with pytest.raises(ValueError, match=r"login\.test"):
        encode("v2", ("login.test", 1), ENDS_V4[1])


# --- HAProxy's

SENDING = ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority,ssl"]
ENDS = [ENDS_V4, ENDS_V6, (ENDS_V4[0], ENDS_V6[1])]


@needs_haproxy
@pytest.mark.parametrize("send", SENDING)
def test_haproxy_is_understood(send: str, tmp_path: Path) -> None:
    with relaying(tmp_path, send) as relay:
        raw, *ends = relay.passed(b"hello")
    header = parse(raw)
    assert header == ProxyHeader(len(raw) - 5, *ends)


@needs_haproxy
@pytest.mark.parametrize("send", SENDING)
def test_haproxy_understands(send: str, tmp_path: Path) -> None:
    """And tells further what it was told, in its own words."""
    with relaying(tmp_path, send, " accept-proxy") as relay:
        for source, destination in ENDS:
            for version in VERSIONS:
                raw, *_ = relay.passed(encode(version, source, destination) + b"hello")
                assert parse(raw) == ProxyHeader(len(raw) - 5, source, destination)
        for version in VERSIONS:
            raw, *ends = relay.passed(encode(version, None, None) + b"hello")
            assert parse(raw) == ProxyHeader(len(raw) - 5, *ends)
        assert relay.refuses(b"hello\r\n\r\n")
