"""Rules as nft prints them, and what real connections come to where the kernel has the same rules."""

from __future__ import annotations

import json
import shutil
from ipaddress import ip_address
from typing import Any

import pytest

from lbproxy.doctor.connector.nftables import ACCEPT, DROP, Connection, ends, sources
from tests.namespaces import needs_nft, needs_root, own_network, run

BALANCER, OTHER, OTHER6 = "10.0.0.5", "203.0.113.77", "2001:db8::1"

BASE = "type filter hook input priority 0; policy accept;"


def loaded(rules: str) -> dict[str, Any]:
    """As the kernel has them, in a network of its own."""
    with own_network():
        run("nft", rules)
        found: dict[str, Any] = json.loads(run("nft", "-j", "list", "ruleset"))
        return found


def end(ruleset: dict[str, Any], source: str, port: int = 4000) -> str:
    return "/".join(sorted(ends(ruleset, Connection(ip_address(source), port))))


def test_no_rules() -> None:
    assert end({}, OTHER) == ACCEPT
    assert sources({}) == []


@needs_root
@needs_nft
@pytest.mark.parametrize(
    ("chain", "balancer", "other", "other6"),
    [
        (BASE, ACCEPT, ACCEPT, ACCEPT),
        (f"{BASE} tcp dport 4000 accept;", ACCEPT, ACCEPT, ACCEPT),
        (f"{BASE} tcp dport 4000 drop;", DROP, DROP, DROP),
        (f"{BASE} tcp dport 4001 drop; udp dport 4000 drop; meta l4proto icmp drop;", ACCEPT, ACCEPT, ACCEPT),
        (f'{BASE} iifname "lo" accept; tcp dport 4000 reject;', DROP, DROP, DROP),
        (f'{BASE} iifname != "lo" tcp dport 4000 drop;', DROP, DROP, DROP),
        (f"{BASE} tcp dport 4000 ip saddr != {BALANCER} drop;", ACCEPT, DROP, ACCEPT),
        (f"{BASE} ip saddr {BALANCER} accept; tcp dport {{ 80, 4000 }} counter drop;", ACCEPT, DROP, DROP),
        (f"{BASE} ip saddr 10.0.0.0/24 accept; meta nfproto ipv6 return; drop;", ACCEPT, DROP, ACCEPT),
        (f"{BASE} ip6 saddr fe80::/10 accept; meta protocol ip6 drop;", ACCEPT, ACCEPT, DROP),
        ("type filter hook input priority 0; policy drop; ct state established,related accept;", DROP, DROP, DROP),
        (f"type filter hook input priority 0; policy drop; ip saddr {BALANCER} accept;", ACCEPT, DROP, DROP),
        (f"{BASE} ct state vmap {{ established : accept, invalid : drop, new : drop }};", DROP, DROP, DROP),
        (f"{BASE} ip saddr vmap {{ {BALANCER} : accept, 10.0.0.9 : accept }}; log drop;", ACCEPT, DROP, DROP),
        (f'{BASE} iifname "eth1" accept; tcp dport 4000 drop;', "accept/drop", "accept/drop", "accept/drop"),
        (f"{BASE} tcp dport 4000 limit rate 1/second accept; tcp dport 4000 drop;", *["accept/drop"] * 3),
        (f"{BASE} tcp flags syn drop;", *["accept/drop"] * 3),
        ("type filter hook output priority 0; policy drop;", ACCEPT, ACCEPT, ACCEPT),
        ("type filter hook prerouting priority -300; tcp dport 4000 drop;", DROP, DROP, DROP),
        (f"{BASE} tcp dport >= 4000 drop;", *["accept/drop"] * 3),
        (f"{BASE} th dport 3999-4001 drop;", DROP, DROP, DROP),
        (f"{BASE} ip saddr 10.0.0.2-10.0.0.6 accept; ip saddr 0.0.0.0/0 drop;", ACCEPT, DROP, ACCEPT),
    ],
)  # fmt: skip
def test_a_chain(chain: str, balancer: str, other: str, other6: str) -> None:
    found = loaded(f"table inet x {{ chain input {{ {chain} }}; }}")
    assert [end(found, source) for source in (BALANCER, OTHER, OTHER6)] == [balancer, other, other6]


@needs_root
@needs_nft
def test_chains_sets_and_tables_of_their_own() -> None:
    found = loaded(f"""
        table inet x {{
          set balancers {{ type ipv4_addr; flags interval; elements = {{ {BALANCER}, 10.1.0.0/16 }} }}
          map verdicts {{ type inet_service : verdict; elements = {{ 4000 : jump connector, 22 : accept }} }}
          chain connector {{ ip saddr @balancers return; goto never; }}
          chain never {{ drop; }}
          chain input {{ type filter hook input priority 0; policy accept; tcp dport vmap @verdicts; }}
        }}
        table ip y {{ chain in {{ type filter hook input priority 10; ip saddr 10.1.2.3 tcp dport 4000 drop; }}; }}
    """)
    assert [end(found, source) for source in (BALANCER, OTHER, OTHER6, "10.1.2.3", "10.1.2.4")] == [
        ACCEPT, DROP, DROP, DROP, ACCEPT,
    ]  # fmt: skip
    assert end(found, OTHER, 22) == end(found, OTHER, 23) == ACCEPT
    assert set(map(str, sources(found))) == {f"{BALANCER}/32", "10.1.0.0/16", "10.1.2.3/32"}


@needs_root
@pytest.mark.skipif(shutil.which("iptables-nft", path="/usr/sbin") is None, reason="apt-get install iptables")
@needs_nft
def test_rules_that_iptables_has_made() -> None:
    with own_network():
        run("iptables-nft", "-A", "INPUT", "-p", "tcp", "--dport", "4000", "!", "-s", BALANCER, "-j", "DROP")
        found = json.loads(run("nft", "-j", "list", "ruleset"))
        assert (end(found, BALANCER), end(found, OTHER)) == (ACCEPT, DROP)
        run("iptables-nft", "-F", "INPUT")
        run("iptables-nft", "-A", "INPUT", "-m", "string", "--algo", "bm", "--string", "x", "-j", "DROP")
        found = json.loads(run("nft", "-j", "list", "ruleset"))
        assert end(found, OTHER) == "accept/drop"
