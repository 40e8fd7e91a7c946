"""A configuration for keepalived: virtual addresses on one of several hosts, by VRRP (RFC 9568).

Two decisions are in it, each with its reason beside it in the text: all hosts have the same priority, so that an
address moves only when it must; and health lowers the priority instead of taking a host out, so that the addresses stay
on some host even when no host is healthy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lbproxy.ip_addresses import IpAddress

ADVERT = 0.2
"""Seconds between two adverts. A host is taken for dead after three of them, and a skew (RFC 9568 section 6.1)."""

_PRIORITY, _UNHEALTHY, _STOPPED = 250, -100, -50
"""The highest for hosts that do not own the address is 254. The skew is (256 - priority) / 256 adverts: 5 ms."""


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts, each with the address of its own that adverts are sent from, and the `virtual` addresses of all.

    health, notify: command lines. socket: a file that is there while lbproxy runs, if there is one. user: the account
    that runs them. router: the VRRP router identifier, 1 to 255.
    """

    hosts: dict[str, IpAddress]
    virtual: Sequence[IpAddress]
    interface: str
    router: int
    health: str
    socket: str
    notify: str
    user: str

    @property
    def first(self) -> list[IpAddress]:
        """The virtual addresses of the family that adverts are sent in."""
        return [one for one in self.virtual if one.version == self._version]

    @property
    def others(self) -> list[IpAddress]:
        """Those of the other family, which move with them."""
        return [one for one in self.virtual if one.version != self._version]

    @property
    def _version(self) -> int:
        return next(iter(self.hosts.values())).version


def keepalived(group: Group, host: str, made_by: str) -> str:
    """The text of keepalived.conf for one of the hosts. made_by: for the comment at its top."""
    peers = {name: address for name, address in group.hosts.items() if name != host}
    blocks = [
        _TOP.format(host=host, hosts=", ".join(group.hosts), made_by=made_by),
        _GLOBAL.format(host=host, user=group.user),
        _HEALTH.format(health=group.health, weight=_UNHEALTHY),
        *([_RUNS.format(socket=group.socket, weight=_STOPPED)] if group.socket else []),
        _INSTANCE.format(
            interface=group.interface,
            router=group.router,
            priority=_PRIORITY,
            advert=ADVERT,
            source=group.hosts[host],
            peers=_lines(f"{address}    # {name}" for name, address in peers.items()),
            first=_lines(_placed(group, group.first)),
            others=_OTHERS.format(others=_lines(_placed(group, group.others))) if group.others else "",
            runs="\n        lbproxy_runs" if group.socket else "",
            notify=group.notify,
        ),
    ]
    return "\n".join(blocks)


def _placed(group: Group, addresses: Iterable[IpAddress]) -> Iterable[str]:
    return (f"{one}/{one.max_prefixlen} dev {group.interface}" for one in addresses)


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(f"        {line}" for line in lines)


_TOP = """\
# /etc/keepalived/keepalived.conf of the host {host}; the hosts are {hosts}. Made by {made_by}.
# There is no secret in it, as VRRP 3 has no authentication: let only the peers send IP protocol 112 to this host.
"""

_GLOBAL = """\
global_defs {{
    router_id {host}
    vrrp_version 3
    vrrp_check_unicast_src
    # Adverts must not wait for a busy CPU.
    vrrp_rt_priority 50
    # A host that lost the first announcement of an address hears the next one.
    vrrp_garp_master_refresh 30
    script_user {user}
    enable_script_security
}}
"""

_HEALTH = """\
vrrp_script lbproxy_health {{
    script "{health}"
    interval 1
    # It has a limit of its own; this one is for a host that cannot even start it.
    timeout 10
    fall 1
    rise 2
    # Not 0, which takes the host out: when no host is healthy, the address stays where it is, and clients get an
    # error page instead of nothing.
    weight {weight}
}}
"""

_RUNS = """\
vrrp_script lbproxy_runs {{
    # When no host is healthy, one where lbproxy runs is still better than one where it has ended.
    script "/usr/bin/test -S {socket}"
    interval 1
    weight {weight}
}}
"""

_INSTANCE = """\
vrrp_instance lbproxy {{
    state BACKUP
    interface {interface}
    virtual_router_id {router}
    # The same on all hosts. A move cuts connections, so a host that comes back does not take the address from a
    # healthy one. (nopreempt does that too, but with it a host whose health fails would keep the address.) A high
    # priority makes a host take over sooner.
    priority {priority}
    # A host that is dead is noticed after three adverts.
    advert_int {advert}
    garp_master_delay 1
    unicast_src_ip {source}
    unicast_peer {{
{peers}
    }}
    virtual_ipaddress {{
{first}
    }}
{others}\
    track_script {{
        lbproxy_health{runs}
    }}
    notify "{notify}"
}}
"""

_OTHERS = """\
    # Of the other IP version: they move with the address above.
    virtual_ipaddress_excluded {{
{others}
    }}
"""
