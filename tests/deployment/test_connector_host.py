"""docs/connectors/auth0.md on a connector's host: its packages, Apache, unit and firewall, in a machine of its own.

LBPROXY_FULL=1, as root: the commands are typed as the page prints them, one after the other, in the order of this file.
The connector is a stand-in for the real one: it ends with status 0 at its first start, and then says which user it was
told. The KDC is the tests' own, in the machine's network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from lbproxy.demo.realm import Realm
from tests.deployment.machine import Machine, root_with
from tests.docs.pages import block
from tests.namespaces import network_of

PAGE = "connectors/auth0.md"
NAME = "login.corp.example"
PACKAGES = "apache2 libapache2-mod-auth-gssapi nftables"

pytestmark = [
    pytest.mark.skipif(not os.environ.get("LBPROXY_FULL"), reason="LBPROXY_FULL=1 boots machines"),
    pytest.mark.skipif(
        os.geteuid() != 0 or not shutil.which("systemd-nspawn") or not shutil.which("mmdebstrap"),
        reason="machines need root, mmdebstrap and systemd-nspawn",
    ),
]

NODE = r"""#!/usr/bin/perl
# As the connector when LDAP is away at its start, and then as one that serves.
use strict; use warnings; use IO::Socket::INET;
my $ended = "/opt/auth0-adldap/ended";
unless (-e $ended) { open my $file, ">", $ended or die; exit 0 }
my $listener = IO::Socket::INET->new(LocalPort => 4000, Listen => 9, ReuseAddr => 1) or die $!;
while (my $client = $listener->accept) {
    my $user = "nobody";
    while (defined(my $line = <$client>)) {
        $user = $1 if $line =~ /^X-Forwarded-User: (.*)\r$/i;
        last if $line eq "\r\n";
    }
    print $client "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " . length($user) . "\r\n\r\n$user";
    close $client;
}
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with Machine(root_with("bookworm", PACKAGES.split()), {}) as machine:
        yield machine


@pytest.fixture(scope="module")
def realm(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Realm]:
    with network_of(machine.leader), Realm(tmp_path_factory.mktemp("realm")) as realm:
        realm.add_user("alice", "secret")
        yield realm


def ask(machine: Machine, realm: Realm, port: int) -> str:
    """What alice gets there, with her ticket and a forged header: the user, by the connector."""
    command = ["curl", "-sS", "--negotiate", "-u", ":", "-H", "X-Forwarded-User: admin"]
    command += ["--resolve", f"{NAME}:{port}:127.0.0.1", f"http://{NAME}:{port}/wsfed"]
    environment = os.environ | realm.kinit("alice")
    done = subprocess.run(
        ["nsenter", "--target", str(machine.leader), "--net", *command],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def test_the_unit_starts_it_again_after_status_0(machine: Machine) -> None:
    machine.run("useradd", "--system", "auth0-adldap")
    machine.run("install", "-d", "-o", "auth0-adldap", "/opt/auth0-adldap")
    machine.write("/usr/bin/node", NODE)
    machine.run("chmod", "755", "/usr/bin/node")
    machine.write("/etc/systemd/system/auth0-adldap.service", block(PAGE, "[Unit]"))
    cursor = machine.cursor()
    machine.run("systemctl", "enable", "--now", "auth0-adldap")
    machine.logged(cursor, "Scheduled restart job", unit="auth0-adldap.service")
    machine.run("timeout", "60", "sh", "-c", "until systemctl is-active -q auth0-adldap; do sleep 0.1; done")
    assert machine.ask("stat", "-c", "%U", "/opt/auth0-adldap/ended") == "auth0-adldap"


def test_apache_is_set_up_as_printed(machine: Machine, realm: Realm) -> None:
    machine.write("/etc/krb5.conf", (realm.directory / "krb5.conf").read_text())
    keytab = realm.add_service(f"HTTP/{NAME}")
    machine.put("/root/login.keytab", keytab.read_bytes())
    for line in block(PAGE, "a2enmod").splitlines():
        machine.run(
            "sh", "-ec", f"cd /root && {line.replace('apt-get install', 'apt-get -qq --no-install-recommends install')}"
        )
    machine.write("/etc/apache2/sites-available/login.conf", block(PAGE, "<VirtualHost"))
    machine.run("a2ensite", "login")
    machine.run("systemctl", "restart", "apache2")
    assert ask(machine, realm, 4080) == "alice@CORP.EXAMPLE"
    assert ask(machine, realm, 4000) == "admin"  # which is why PORT needs a firewall


def test_the_firewall_is_loaded_and_stays(machine: Machine, realm: Realm) -> None:
    machine.run("apt-get", "-qq", "--no-install-recommends", "install", "nftables")
    path = "/etc/nftables.conf"
    machine.write(path, f"{machine.ask('cat', path)}\n{block(PAGE, 'tcp dport 4080')}")
    for line in block(PAGE, "nft -f").splitlines():
        machine.run(*line.split())
    assert "tcp dport 4080 ip saddr != 10.0.0.5 drop" in machine.ask("nft", "list", "ruleset")
    assert machine.ask("systemctl", "is-enabled", "nftables") == "enabled"
    machine.run("nft", "flush", "ruleset")
    machine.run("systemctl", "restart", "nftables")
    assert "tcp dport 4000 drop" in machine.ask("nft", "list", "ruleset")
    assert ask(machine, realm, 4080) == "alice@CORP.EXAMPLE"  # from the host itself


def test_a_restart_by_the_rollouts_command(machine: Machine, realm: Realm) -> None:
    before = machine.ask("systemctl", "show", "--property=MainPID", "--value", "auth0-adldap")
    _, _, remote = block(PAGE, "lbproxy rollout").splitlines()[1].partition("sudo ")
    machine.run(*remote.rstrip("'").split())
    assert machine.ask("systemctl", "show", "--property=MainPID", "--value", "auth0-adldap") not in ("0", before)
    assert ask(machine, realm, 4080) == "alice@CORP.EXAMPLE"
