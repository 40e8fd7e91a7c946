"""docs/connectors/auth0.md on three hosts: its firewall, and what doctor sees from each of them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from click.testing import CliRunner

from lbproxy.cli import main
from tests.doctor.servers import runs
from tests.instance.connector import Connector
from tests.namespaces import Switch, needs_nft, needs_root

from .pages import block

pytestmark = [needs_root, needs_nft]

PAGE = "connectors/auth0.md"
BALANCER = """
server_url = "http://127.0.0.1:1"
[listener.login]
bind = "127.0.0.1:8080"
pool = "connectors"
[pool.connectors]
backends = [{{ name = "c1", url = "http://{host}:{port}" }}]
check.path = "/wsfed"
check.expect = [302]
[admin]
bind = "unix:admin.sock"
"""

V6 = "2001:db8::1"

Seen = dict[str, tuple[str, str]]


class Hosts:
    """The connector runs on its host, at every address, at PORT 4000 and at 4080, where an Apache would be."""

    def __init__(self, switch: Switch, connector: Connector, directory: Path) -> None:
        self.switch = switch.hosts
        self.connector = connector
        self.directory = directory

    def load(self, rules: str) -> None:
        """With nft, as it is printed, for the balancer that is here."""
        path = self.directory / "nftables.conf"
        path.write_text("flush ruleset\n" + rules.replace("10.0.0.5", str(self.switch["balancer"].address)))
        self.switch["connector"].run("nft", "-f", str(path))

    def on_the_connectors(self) -> Seen:
        """The command is the first of the page's."""
        line = commands()[0].replace("/opt/auth0-adldap", str(self.connector.directory))
        return self._doctor("connector", line)

    def on_a_third(self) -> Seen:
        """The second."""
        line = commands()[1].replace("10.0.0.11", str(self.switch["connector"].address))
        return self._doctor("out", re.sub(r"(--from-elsewhere \S+) --from-elsewhere \S+", r"\1", line))

    def on_the_balancers(self, port: int) -> Seen:
        path = self.directory / "lbproxy.toml"
        path.write_text(BALANCER.format(host=self.switch["connector"].address, port=port))
        return self._doctor("balancer", f"lbproxy doctor -c {path}")

    def addresses(self) -> tuple[str, str]:
        """Of the connector's host, as in a URL."""
        return str(self.switch["connector"].address), f"[{V6}]"

    def is_silent(self, url: str) -> bool:
        """Whether the third host gets no answer there."""
        with self.switch["out"].entered():
            done = subprocess.run(
                ["curl", "-s", "--connect-timeout", "0.3", url], check=False, stdout=subprocess.DEVNULL
            )
        return done.returncode == 28  # curl(1): the time was up

    def _doctor(self, name: str, line: str) -> Seen:
        with self.switch[name].entered():
            result = CliRunner().invoke(main, [*shlex.split(line)[1:], "--json"], catch_exceptions=False)
        found = [(check["name"], one) for check in json.loads(result.stdout)["checks"] for one in check["findings"]]
        return {name: (one["outcome"], one["found"]) for name, one in found}


def commands() -> list[str]:
    return block(PAGE, "--from-elsewhere").splitlines()


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    directory = tmp_path_factory.mktemp("hosts")
    connector = Connector.make(directory / "c1", port=4000, KERBEROS_AUTH=True, WITH_KERBEROS_PROXY_FRONTEND=True)
    connector.set(LDAP_URL="ldap://127.0.0.1:1", PROVISIONING_TICKET="https://127.0.0.1:1/p/ad/x")
    with Switch("connector", "balancer", "out") as switch:
        for address, name in ((V6, "connector"), ("2001:db8::3", "out")):
            switch.hosts[name].run("ip", "address", "add", f"{address}/64", "dev", "eth0", "nodad")
        with ExitStack() as there:
            there.enter_context(switch.hosts["connector"].entered())
            for port in (4080, 4000):
                there.enter_context(runs(connector.directory, "::", port))
            yield Hosts(switch, connector, directory)


def test_without_rules_everybody_gets_in(hosts: Hosts) -> None:
    hosts.load("")
    here = hosts.on_the_connectors()
    assert here["PORT"] == ("ok", "port 4000 answers /wsfed with 302")
    assert here["firewall"] == ("problem", "PORT 4000: the firewall here lets in everybody by IPv4 and IPv6")
    assert hosts.on_a_third()["past the balancer"] == ("problem", "accepts connections from here")
    assert [hosts.is_silent(f"http://{address}:4000") for address in hosts.addresses()] == [False, False]
    assert hosts.on_the_balancers(4000)["backends"] == ("ok", "tried from here: 302")


def test_with_the_printed_rules_only_the_balancer_does(hosts: Hosts) -> None:
    hosts.load(block(PAGE, "tcp dport 4000 ip saddr"))
    here = hosts.on_the_connectors()
    assert here["PORT"] == ("ok", "port 4000 answers /wsfed with 302")
    who = f"the firewall here lets in {hosts.switch['balancer'].address}"
    assert here["firewall"] == ("ok", f"PORT 4000: {who}; see that only balancers are among them")
    outcome, told = hosts.on_a_third()["past the balancer"]
    assert (outcome, told.partition(";")[0]) == ("ok", "cannot be reached from here: no answer within 3 s")
    assert hosts.on_the_balancers(4000)["backends"] == ("ok", "tried from here: 302")
    assert [hosts.is_silent(f"http://{address}:4000") for address in hosts.addresses()] == [True, True]


def test_with_apache_only_this_host_reaches_port(hosts: Hosts) -> None:
    hosts.load(block(PAGE, "tcp dport 4080"))
    here = hosts.on_the_connectors()
    assert here["PORT"] == ("ok", "port 4000 answers /wsfed with 302")
    assert here["firewall"] == ("ok", "PORT 4000: the firewall here lets in no other host")
    assert hosts.on_the_balancers(4080)["backends"] == ("ok", "tried from here: 302")
    assert hosts.on_the_balancers(4000)["backends"][0] == "problem"
    for url in (f"http://{address}:{port}" for address in hosts.addresses() for port in (4000, 4080)):
        assert hosts.is_silent(url)


def test_a_rule_that_lets_everybody_in_is_no_protection(hosts: Hosts) -> None:
    hosts.load(block(PAGE, "tcp dport 4000 ip saddr").replace("ip saddr != 10.0.0.5 drop", "accept"))
    assert hosts.on_the_connectors()["firewall"][0] == "problem"
    assert hosts.on_a_third()["past the balancer"][0] == "problem"
