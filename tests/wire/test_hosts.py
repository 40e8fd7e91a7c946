"""Which server a Host value names."""

from __future__ import annotations

import pytest

from lbproxy.wire.hosts import without_port


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
