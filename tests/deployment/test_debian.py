"""The Debian package, from its installation to its purge, in a machine of its own.

LBPROXY_FULL=1, as root, after `make dist`: these tests take the package in dist/, and one after the other the same
machine, in the order of this file.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployment import sample
from tests.deployment.machine import Machine, root

DIST = Path(os.environ.get("LBPROXY_DIST", Path(__file__).parents[2] / "dist"))
PACKAGES = sorted(DIST.glob("lbproxy_*.deb"))
FILE = "/etc/lbproxy/lbproxy.toml"
URL = "http://127.0.0.1:8080/healthz"

pytestmark = [
    pytest.mark.skipif(not os.environ.get("LBPROXY_FULL"), reason="LBPROXY_FULL=1 boots machines"),
    pytest.mark.skipif(not PACKAGES, reason="make dist has made no Debian package"),
    pytest.mark.skipif(
        os.geteuid() != 0 or not shutil.which("systemd-nspawn") or not shutil.which("mmdebstrap"),
        reason="machines need root, mmdebstrap and systemd-nspawn",
    ),
]

CONFIGURATION = f"""\
workers = 2
{sample.CONFIGURATION}
[access_log]
path = "/var/log/lbproxy/access.log"
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """With the package installed, two versions of it in /dist, and the backend of CONFIGURATION."""
    folder = tmp_path_factory.mktemp("dist")
    shutil.copy(PACKAGES[-1], folder / "lbproxy.deb")
    make_next(folder / "lbproxy.deb", folder / "next.deb")
    with Machine(root(PACKAGES[-1]), {"/dist": folder}) as machine:
        machine.python_beside(*sample.CONNECTOR)
        yield machine


def make_next(package: Path, made: Path) -> None:
    """The package of a later version: the same, which says another number."""
    tree = made.with_suffix("")
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(control.read_text().replace("\nVersion: 0.", "\nVersion: 9."))
    [source] = tree.glob("opt/lbproxy/lib/python3*/site-packages/lbproxy/__init__.py")
    source.write_text(source.read_text().replace('__version__ = "0.', '__version__ = "9.'))
    for compiled in source.parent.glob("__pycache__/__init__.*.pyc"):
        compiled.unlink()
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, made], check=True, stdout=subprocess.DEVNULL
    )
    shutil.rmtree(tree)


def install(machine: Machine, name: str) -> str:
    """What apt and the package say."""
    done = machine.run("apt-get", "-qq", "--no-install-recommends", "install", f"/dist/{name}.deb")
    return done.stdout + done.stderr


def version(machine: Machine) -> str:
    return str(machine.status()["version"])


def main_pid(machine: Machine) -> str:
    return machine.ask("systemctl", "show", "--property=MainPID", "--value", "lbproxy.service")


def children(machine: Machine, pid: int) -> list[int]:
    """Of a process in the machine."""
    stats = machine.ask("sh", "-c", "cat /proc/[0-9]*/stat").splitlines()
    found = [(int(line.partition(" ")[0]), int(line.rpartition(")")[2].split()[1])) for line in stats]
    return [child for child, parent in found if parent == pid]


def fetch(machine: Machine) -> str:
    """The answer's status."""
    with machine.beside("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Host: login.test", URL) as curl:
        return curl.communicate(timeout=60)[0]


def end(load: subprocess.Popen[str], stopped: bool = False) -> tuple[int, list[str]]:
    """How many requests were answered, and those that were not.

    stopped: requests may meet the end of kept connections, because a balancer that stops closes those that are idle."""
    load.send_signal(signal.SIGTERM)
    said = json.loads(load.communicate(timeout=60)[0])
    print(f"{said['answered']} requests were answered, {said['closed']} closed, {len(said['lost'])} lost", flush=True)
    assert stopped or not said["closed"]
    return said["answered"], said["lost"]


def test_it_is_installed_and_enabled_and_not_started_while_the_sample_is_untouched(machine: Machine) -> None:
    said = install(machine, "lbproxy")
    assert "lbproxy: installed and enabled, not started: /etc/lbproxy/lbproxy.toml is still the sample." in said
    assert machine.ask("systemctl", "is-enabled", "lbproxy.service") == "enabled"
    assert machine.run("systemctl", "is-active", "lbproxy.service", check=False).stdout == "inactive\n"
    machine.run("lbproxy", "check", "-c", FILE)
    cursor = machine.cursor()
    machine.run("systemctl", "start", "lbproxy.service")
    machine.logged(cursor, "not started: /etc/lbproxy/lbproxy.toml is still the sample; edit it first")
    assert machine.run("systemctl", "is-failed", "lbproxy.service", check=False).stdout == "inactive\n"
    assert machine.ask("stat", "-c", "%U:%G %a", FILE) == "root:lbproxy 640"


def test_it_serves_once_it_is_configured(machine: Machine) -> None:
    machine.write(FILE, CONFIGURATION)
    machine.run("lbproxy", "check", "--unit", "/usr/lib/systemd/system/lbproxy.service")
    machine.run("systemctl", "start", "lbproxy.service")
    assert fetch(machine) == "200"
    assert machine.ask("stat", "-c", "%U", f"/proc/{main_pid(machine)}") == "lbproxy"


def test_a_reload_serves_the_new_file_and_a_broken_one_fails(machine: Machine) -> None:
    machine.write(FILE, CONFIGURATION + "rotate_me = 1\n")
    failed = machine.run("systemctl", "reload", "lbproxy.service", check=False)
    assert failed.returncode == 1
    assert fetch(machine) == "200"
    machine.write(FILE, CONFIGURATION.replace('"c1"', '"c2"'))
    machine.run("systemctl", "reload", "lbproxy.service")
    assert machine.status()["pools"][0]["backends"][0]["name"] == "c2"


def test_an_upgrade_under_load_loses_nothing(machine: Machine) -> None:
    before, pid = version(machine), main_pid(machine)
    load = machine.python_beside("tests.deployment.load", URL)
    cursor = machine.cursor()
    install(machine, "next")
    machine.logged(cursor, "generation_serves")
    assert version(machine) != before
    answered, lost = end(load)
    assert (answered > 100, lost) == (True, [])
    assert main_pid(machine) == pid


def test_an_upgrade_with_a_broken_configuration_leaves_the_old_one_serving(machine: Machine) -> None:
    load = machine.python_beside("tests.deployment.load", URL)
    machine.write(FILE, CONFIGURATION.replace("check]", "czech]"))
    cursor = machine.cursor()
    machine.run("dpkg", "--force-downgrade", "--install", "/dist/lbproxy.deb")
    machine.logged(cursor, "reload_failed")
    assert fetch(machine) == "200"
    answered, lost = end(load)
    assert (answered > 100, lost) == (True, [])
    machine.write(FILE, CONFIGURATION)
    machine.run("systemctl", "reload", "lbproxy.service")


def test_a_killed_worker_and_a_killed_master_are_replaced(machine: Machine) -> None:
    cursor = machine.cursor()
    [forker] = children(machine, machine.status()["generation"]["pid"])
    machine.run("sh", "-c", f"kill -KILL {children(machine, forker)[0]}")
    machine.logged(cursor, "worker_died")
    assert fetch(machine) == "200"
    cursor = machine.cursor()
    machine.run("sh", "-c", f"kill -KILL {main_pid(machine)}")
    machine.logged(cursor, "Started lbproxy")
    assert fetch(machine) == "200"


def test_with_socket_activation_clients_wait_for_a_restart(machine: Machine) -> None:
    machine.run("systemctl", "stop", "lbproxy.service")
    machine.run("mkdir", "-p", "/etc/systemd/system/lbproxy.socket.d")
    machine.write(
        "/etc/systemd/system/lbproxy.socket.d/address.conf", "[Socket]\nListenStream=\nListenStream=127.0.0.1:8080\n"
    )
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "enable", "--now", "lbproxy.socket")
    assert fetch(machine) == "200"  # which starts it
    load = machine.python_beside("tests.deployment.load", URL)
    machine.run("systemctl", "restart", "lbproxy.service")
    answered, lost = end(load, stopped=True)
    assert (answered > 0, lost) == (True, [])


def test_little_is_exposed(machine: Machine) -> None:
    said = machine.ask("systemd-analyze", "security", "--no-pager", "--threshold=16", "lbproxy.service")
    print(said.splitlines()[-1], flush=True)


def test_the_access_log_is_rotated(machine: Machine) -> None:
    log = "/var/log/lbproxy/access.log"
    machine.run("logrotate", "--force", "/etc/logrotate.d/lbproxy")
    assert int(machine.ask("stat", "-c", "%s", f"{log}.1")) > 0
    assert fetch(machine) == "200"
    machine.run("timeout", "60", "sh", "-c", f"until [ -s {log} ]; do sleep 0.1; done")


def test_it_has_man_pages_and_completions(machine: Machine) -> None:
    for page in ("lbproxy", "lbproxy-drain", "lbproxy.toml"):
        assert machine.ask("man", "--where", page).startswith("/usr/share/man/")
    complete = ". /usr/share/bash-completion/completions/lbproxy; COMP_WORDS=(lbproxy rel); COMP_CWORD=1"
    assert machine.ask("bash", "-c", f"{complete}; _lbproxy_completion lbproxy; echo $COMPREPLY") == "reload"


def test_purge_leaves_nothing(machine: Machine) -> None:
    machine.run("rm", "-r", "/etc/systemd/system/lbproxy.socket.d")
    machine.run("apt-get", "-qq", "purge", "--autoremove", "lbproxy")
    found = machine.ask("find", "/", "-xdev", "-name", "*lbproxy*", "-not", "-path", "/var/lib/dpkg/*")
    assert (found, machine.run("ls", "-A", "/opt", check=False).stdout) == ("", "")
    assert (
        machine.run(
            "grep", "-rl", "--exclude=*-", "lbproxy", "/etc", "/var/lib/systemd", "/run/systemd", check=False
        ).stdout
        == ""
    )
    assert machine.ask("systemctl", "list-units", "--all", "--plain", "--no-legend", "lbproxy*") == ""
    assert machine.run("getent", "passwd", "lbproxy", check=False).returncode == 2
    assert machine.run("getent", "group", "lbproxy", check=False).returncode == 2
