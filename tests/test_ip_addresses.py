from __future__ import annotations

from ipaddress import ip_address

import pytest

from lbproxy.ip_addresses import ip_of


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7"])
def test_an_address_is_found(host: str) -> None:
    assert ip_of(host) == ip_address(host)


@pytest.mark.parametrize("host", ["", "login.corp.example", "192.0.2", "192.0.2.256", "192.0.2.7:80", "[::1]"])
def test_all_else_is_none(host: str) -> None:
    assert ip_of(host) is None
