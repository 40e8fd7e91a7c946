"""The kernel's own list, and its news; what changes it needs root."""

from __future__ import annotations

import asyncio
import subprocess
from ipaddress import ip_address

from lbproxy.control.host_addresses import AddressChanges, host_addresses, present
from tests.namespaces import needs_root, own_network

HERE, THERE = ip_address("127.0.0.1"), ip_address("192.0.2.99")
FIRST, SECOND = ip_address("198.18.255.1"), ip_address("198.18.255.2")  # for measurements (RFC 2544)


def test_loopback_is_here_and_a_documentation_address_is_not() -> None:
    assert HERE in set(host_addresses())
    assert present([THERE, HERE]) == [HERE]


def test_both_families_are_listed() -> None:
    listed = subprocess.run(["ip", "-o", "address"], capture_output=True, text=True, check=True).stdout
    wanted = {ip_address(line.split()[3].partition("/")[0]) for line in listed.splitlines()}
    assert set(host_addresses()) == wanted
    assert {one.version for one in wanted} == {4, 6}


def address(*words: str) -> None:
    subprocess.run(["ip", "address", *words, "dev", "lo"], check=True)


@needs_root
async def test_an_address_that_comes_and_goes() -> None:
    with own_network(), AddressChanges() as changes:
        for word, here in (("add", [FIRST]), ("delete", [])):
            address(word, f"{FIRST}/32")
            async with asyncio.timeout(60):
                await changes.next()
            assert present([FIRST]) == here


@needs_root
def test_a_secondary_address_counts() -> None:
    with own_network():
        address("add", f"{FIRST}/24")
        address("add", f"{SECOND}/24")
        assert present([FIRST, SECOND]) == [FIRST, SECOND]
