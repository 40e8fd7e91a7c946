from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from lbproxy.config.addresses import (
    Address,
    absolute_url,
    address,
    host,
    network,
    origin,
    server_name,
    url_host,
    virtual,
)

BASE = Path("/etc/lbproxy")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.0.0.0:443", Address("0.0.0.0", 443)),
        ("[::1]:443", Address("::1", 443)),
        ("localhost:0", Address("localhost", 0)),
        ("unix:/run/lb.sock", Address(path=Path("/run/lb.sock"))),
        ("unix:lb.sock", Address(path=BASE / "lb.sock")),
    ],
)
def test_address(text: str, expected: Address) -> None:
    assert address(text, BASE) == expected


@pytest.mark.parametrize("text", ["0.0.0.0:443", "[::1]:443", "localhost:0", "unix:/run/lb.sock"])
def test_address_is_written_as_it_was_read(text: str) -> None:
    assert str(address(text, BASE)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (443, "must be a string"),
        ("443", "'443' is not host:port, [v6]:port or unix:PATH"),
        ("::1:443", "'::1:443' is not host:port, [v6]:port or unix:PATH"),
        ("0.0.0.0:https", "'0.0.0.0:https' is not host:port, [v6]:port or unix:PATH"),
        (":8443", '\':8443\' has no host; for every address write "0.0.0.0:8443" (IPv4) or "[::]:8443" (IPv6)'),
        ("0.0.0.0:65536", "65536 is not a port; the highest is 65535"),
        ("[::g]:1", "'[::g]' is not an IPv6 address"),
        ("a b:1", "'a b' is not a host: a name, an IPv4 address or a [v6] one, without a port"),
        ("unix:", "unix: must be followed by a path"),
        ("unix:/" + "x" * 107, "the path is longer than the 107 bytes that a Unix socket may have"),
    ],
)
def test_not_an_address(value: object, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        address(value, BASE)


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("unix:/run/lb.sock", True),
        ("localhost:1", True),
        ("127.8.0.1:1", True),
        ("[::1]:1", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
        ("corp.example:1", False),
    ],
)
def test_local_addresses(text: str, local: bool) -> None:
    assert address(text, BASE).is_local is local


@pytest.mark.parametrize("text", ["10.0.0.0/8", "10.0.0.1", "2001:db8::/32", "::1"])
def test_network(text: str) -> None:
    assert network(text) == ip_network(text)


def test_network_with_host_bits_is_told_what_it_means() -> None:
    with pytest.raises(ValueError, match=r"bits set after its prefix; did you mean 10\.0\.0\.0/8\?"):
        network("10.0.0.1/8")


@pytest.mark.parametrize("value", ["", "corp.example", "10.0.0.0/33", 10, None])
def test_not_a_network(value: object) -> None:
    with pytest.raises(ValueError, match=r"is not an address or a network|must be a string"):
        network(value)


@pytest.mark.parametrize(
    ("text", "expected"), [("Login.Corp.example", "login.corp.example"), ("10.0.0.1", "10.0.0.1"), ("[::1]", "[::1]")]
)
def test_host(text: str, expected: str) -> None:
    assert host(text) == expected


@pytest.mark.parametrize(
    "text", ["", "a:443", "::1", "[::1]:443", "*.corp.example", "a..b", "-a", "http://a", "a/b", "ä"]
)
def test_not_a_host(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a host|is not an IPv6 address"):
        host(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://login.corp.example", "https://login.corp.example"),
        ("https://Login.corp.example:443/", "https://Login.corp.example:443"),
        ("http://[::1]:4000", "http://[::1]:4000"),
    ],
)
def test_origin_stays_as_written(text: str, expected: str) -> None:
    assert origin(text, ("http", "https")) == expected


@pytest.mark.parametrize("text", ["http://a/b", "http://a?b", "http://a?", "http://a#", "http://a//"])
def test_origin_has_no_path_or_query(text: str) -> None:
    with pytest.raises(ValueError, match="must end after the host and port"):
        origin(text, ("http",))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "is not a URL that begins with http:// or https://$"),
        ("login.corp.example", "begins with http:// or https:// and names a host"),
        ("ftp://a", "begins with http:// or https:// and names a host"),
        ("http://", "begins with http:// or https:// and names a host"),
        ("http://:80", "begins with http:// or https:// and names a host"),
        ("http://a\n", "is not a URL that begins with"),
        ("http://a b", "is not a URL that begins with"),
        ("http://me@a", "must not carry a user name"),
        ("http://a:0", "has no usable port"),
        ("http://a:", "has no usable port"),
        ("http://a:65536", "is not a URL: Port out of range"),
        ("http://[::g]", "is not a URL|is not an IPv6 address"),
        ("http://a_%41", "is not a host"),
    ],
)
def test_not_a_url(text: str, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        absolute_url(text, ("http", "https"))


@pytest.mark.parametrize(("text", "expected"), [("http://A.b:1/c", "a.b"), ("http://[::1]:1", "[::1]")])
def test_url_host(text: str, expected: str) -> None:
    assert url_host(absolute_url(text, ("http",))) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("login.corp.example", "login.corp.example"),
        ("Login.Corp.Example", "login.corp.example"),
        ("*.Corp.example", "*.corp.example"),
        ("localhost", "localhost"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_server_name(text: str, expected: str) -> None:
    assert server_name(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "*", "*.", "*.*.example", "a.*.example", "*corp.example", "10.0.0.1", "[::1]", "a.example.", "a.example:443"],
)
def test_not_a_server_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a server name such as login\.corp\.example or \*\.corp\.example$"):
        server_name(text)


@pytest.mark.parametrize("text", ["192.0.2.10", "2001:db8::10"])
def test_a_virtual_address(text: str) -> None:
    assert virtual(text) == ip_address(text)
    assert address(f"[{text}]:443" if ":" in text else f"{text}:443", Path("/")).ip == ip_address(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("192.0.2.10/24", "without prefix and port"),
        ("192.0.2.10:443", "without prefix and port"),
        ("[2001:db8::10]", "without prefix and port"),
        ("lb.corp.example", "is not an IP address"),
        (7, "must be a string"),
        ("127.0.0.1", "cannot move from one host to another"),
        ("::", "cannot move from one host to another"),
        ("224.0.0.18", "cannot move from one host to another"),
    ],
)
def test_not_a_virtual_address(value: object, text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)):
        virtual(value)


@pytest.mark.parametrize("text", ["localhost:443", "unix:a.sock"])
def test_an_address_without_ip(text: str) -> None:
    assert address(text, Path("/")).ip is None
