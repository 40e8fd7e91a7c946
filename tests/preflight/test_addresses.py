from __future__ import annotations

from ipaddress import ip_address

import pytest

from lbproxy.preflight import Report
from lbproxy.preflight.addresses import inspect_address

AWAY = ip_address("192.0.2.99")


def test_an_address_that_is_not_here_is_told(report: Report) -> None:
    inspect_address(report, "listener.login.bind", AWAY, (), freebind=True)
    [warning] = report.warnings
    assert str(warning).startswith("listener.login.bind: 192.0.2.99 is not an address of this host (yet)")
    assert report.problems == []


@pytest.mark.parametrize(
    ("address", "virtual", "freebind"),
    [
        (None, (), True),
        (ip_address("127.0.0.1"), (), True),
        (ip_address("0.0.0.0"), (), True),
        (ip_address("::"), (), True),
        (AWAY, (AWAY,), True),
        (AWAY, (), False),
    ],
    ids=["no address", "here", "any", "any6", "virtual", "the bind tells"],
)
def test_nothing_to_tell(report: Report, address: object, virtual: tuple[object, ...], freebind: bool) -> None:
    inspect_address(report, "a", address, virtual, freebind)  # type: ignore[arg-type]  # the table has two families
    assert report.warnings == []
