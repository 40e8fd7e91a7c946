"""Which server a Host value, or a URL, names."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from lbproxy.wire.hosts import port_of, without_port


@pytest.mark.parametrize(
    ("host", "name"),
    [
        (b"login.corp.example", "login.corp.example"),
        (b"LOGIN.Corp.Example:443", "login.corp.example"),
        (b"login.corp.example:", "login.corp.example"),
        (b"login.corp.example.", "login.corp.example."),
        (b"192.0.2.1:80", "192.0.2.1"),
        (b"[2001:DB8::1]", "[2001:db8::1]"),
        (b"[::1]:8443", "[::1]"),
    ],
)
def test_without_port(host: bytes, name: str) -> None:
    assert without_port(host) == name


@pytest.mark.parametrize(
    ("url", "port"), [("http://a", 80), ("https://a/", 443), ("https://[::1]:8443/x", 8443), ("tcp://a:4000", 4000)]
)
def test_the_port_of_a_url_or_of_its_scheme(url: str, port: int) -> None:
    assert port_of(urlsplit(url)) == port


def test_a_scheme_without_a_port_of_its_own() -> None:
    with pytest.raises(KeyError):
        port_of(urlsplit("tcp://a"))
