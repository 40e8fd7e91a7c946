from __future__ import annotations

import json
import shutil
from ipaddress import ip_address
from pathlib import Path

import pytest

from lbproxy.doctor.connector import firewall
from lbproxy.doctor.connector.listening import Socket
from lbproxy.doctor.finding import Outcome, UnseenError
from tests.doctor.connector.conftest import Looking
from tests.doctor.looking import only, told
from tests.doctor.servers import runs
from tests.instance.connector import Connector
from tests.namespaces import needs_nft, needs_root, own_network, run
from tests.ports import free_port

BELIEVES = {"KERBEROS_AUTH": True, "WITH_KERBEROS_PROXY_FRONTEND": True}


async def test_one_that_this_host_alone_reaches(look: Looking, connector: Connector) -> None:
    with runs(connector.directory) as port:
        assert told(await firewall.reach(look(PORT=port))) == [f"ok: PORT {port} is reached from this host only"]


async def test_nobody_listens(look: Looking) -> None:
    with pytest.raises(UnseenError):
        await firewall.reach(look(PORT=free_port()))


@needs_root
@needs_nft
async def test_one_that_is_open_until_the_printed_command_is_run(look: Looking, connector: Connector) -> None:
    with own_network(), runs(connector.directory, "0.0.0.0") as port:
        found = only(await firewall.reach(look(PORT=port, **BELIEVES)))
        assert (found.outcome, found.found) == (
            Outcome.PROBLEM, f"PORT {port}: the firewall here lets in everybody by IPv4",
        )  # fmt: skip
        assert "A forged X-Forwarded-User" in found.why
        command = found.repair.partition(" (docs")[0].replace("BALANCER", "10.0.0.5")
        run("sh", "-c", command)
        assert told(await firewall.reach(look())) == [
            f"ok: PORT {port}: the firewall here lets in 10.0.0.5; see that only balancers are among them"
        ]
        assert only(await firewall.reach(look(KERBEROS_AUTH=None))).outcome is Outcome.OK


@needs_root
async def test_an_account_that_may_not_read_the_rules(
    look: Looking, connector: Connector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("nft", "iptables-save", "ip6tables-save"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with own_network(), runs(connector.directory, "0.0.0.0") as port:
        found = only(await firewall.reach(look(PORT=port)))
    assert found.outcome is Outcome.UNSEEN
    assert f"--from-elsewhere http://THIS_HOST:{port}" in found.repair


@needs_root
@needs_nft
def test_rules_that_cannot_be_judged() -> None:
    with own_network():
        run("nft", 'table inet x { chain in { type filter hook input priority 0; iifname "eth1" drop; }; }')
        rules = firewall.read_rules()
    assert rules is not None
    assert firewall.judge(rules, 4000, {4}, True).outcome is Outcome.UNSEEN


@pytest.mark.parametrize(
    ("iptables", "dangerous", "outcome"),
    [
        ("", True, Outcome.PROBLEM),
        ("", False, Outcome.WARNING),
        ("-A INPUT -p tcp -m tcp --dport 4000 -j DROP", True, Outcome.UNSEEN),
        (":INPUT DROP [0:0]", True, Outcome.UNSEEN),
        ("-A INPUT -p tcp -m tcp --dport 40001 -j DROP\n:FORWARD DROP [0:0]", True, Outcome.PROBLEM),
    ],
)
def test_rules_of_iptables(iptables: str, dangerous: bool, outcome: Outcome) -> None:
    assert firewall.judge(firewall.Rules({}, iptables), 4000, {4, 6}, dangerous).outcome is outcome


@needs_root
@pytest.mark.skipif(shutil.which("iptables-nft", path="/usr/sbin") is None, reason="apt-get install iptables")
@needs_nft
def test_rules_that_iptables_made_in_nftables() -> None:
    with own_network():
        run("iptables-nft", "-A", "INPUT", "-p", "tcp", "--dport", "4000", "-j", "ACCEPT")
        rules = firewall.read_rules()
    assert rules is not None
    assert json.dumps(rules.nft).count("4000") == 1
    assert firewall.judge(rules, 4000, {4}, True).outcome is Outcome.PROBLEM


@needs_root
def test_by_which_addresses_others_come() -> None:
    with own_network():
        everywhere = [Socket(ip_address("::"), None)]
        assert firewall.versions(everywhere) == {4}
        run("ip", "address", "add", "2001:db8::5/64", "dev", "lo")
        assert firewall.versions(everywhere) == {4, 6}
        assert firewall.versions([Socket(ip_address("10.0.0.1"), None)]) == {4}
