"""What is printed for keepalived; whether keepalived takes it is tested with the command."""

from __future__ import annotations

from ipaddress import ip_address

from lbproxy.control.keepalived import Group, keepalived
from lbproxy.ip_addresses import IpAddress

HOSTS: dict[str, IpAddress] = {f"lb{number}": ip_address(f"192.0.2.{number}") for number in (1, 2, 3)}
V4, V6 = ip_address("192.0.2.10"), ip_address("2001:db8::10")


def group(*virtual: IpAddress, hosts: dict[str, IpAddress] = HOSTS, socket: str = "") -> Group:
    return Group(hosts, virtual, "eth0", 51, "/opt/lbproxy/bin/lbproxy health", socket, "/bin/true", "lbproxy")


def block(text: str, name: str) -> list[str]:
    """The lines of a block within another one."""
    inside = text.partition(f"    {name} {{\n")[2].partition("\n    }")[0]
    return [line.strip() for line in inside.splitlines()]


def test_each_host_speaks_to_all_others() -> None:
    text = keepalived(group(V4), "lb2", "a test")
    assert "unicast_src_ip 192.0.2.2\n" in text
    assert block(text, "unicast_peer") == ["192.0.2.1    # lb1", "192.0.2.3    # lb3"]


def test_all_have_one_priority_and_health_lowers_it() -> None:
    texts = [keepalived(group(V4), name, "a test") for name in HOSTS]
    assert all("    priority 250\n" in text and "    weight -100\n" in text for text in texts)
    assert not any("nopreempt\n" in text for text in texts)


def test_addresses_of_the_other_ip_version_move_with_those_of_the_first() -> None:
    text = keepalived(group(V6, V4), "lb1", "a test")
    assert block(text, "virtual_ipaddress") == ["192.0.2.10/32 dev eth0"]
    assert block(text, "virtual_ipaddress_excluded") == ["2001:db8::10/128 dev eth0"]
    hosts: dict[str, IpAddress] = {name: ip_address(f"2001:db8::{name[2]}") for name in HOSTS}
    text = keepalived(group(V6, V4, hosts=hosts), "lb1", "a test")
    assert block(text, "virtual_ipaddress") == ["2001:db8::10/128 dev eth0"]
    assert block(text, "virtual_ipaddress_excluded") == ["192.0.2.10/32 dev eth0"]
    assert "excluded" not in keepalived(group(V4), "lb1", "a test")


def test_where_lbproxy_has_ended_is_worse_than_where_it_is_not_healthy() -> None:
    text = keepalived(group(V4, socket="/run/lbproxy/admin.sock"), "lb1", "a test")
    assert 'script "/usr/bin/test -S /run/lbproxy/admin.sock"\n' in text
    assert block(text, "track_script") == ["lbproxy_health", "lbproxy_runs"]
    assert block(keepalived(group(V4), "lb1", "a test"), "track_script") == ["lbproxy_health"]
