"""`lbproxy keepalived`, whose output the real one checks (`keepalived --config-test`)."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lbproxy.cli import main
from tests import namespaces
from tests.cli.served import CONFIG
from tests.namespaces import needs_root, own_network

HOSTS = ("--host", "lb1=192.0.2.1", "--host", "lb2=192.0.2.2")
LB1 = (*HOSTS, "--this", "lb1", "--interface", "eth0", "--user", "root")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "lbproxy.toml"
    path.write_text('virtual_addresses = ["192.0.2.10", "2001:db8::10"]' + CONFIG)
    return str(path)


@needs_root
@pytest.mark.skipif(shutil.which("keepalived") is None, reason="keepalived is not installed")
@pytest.mark.parametrize(
    "options",
    [
        LB1,
        (*LB1, "--host", "lb3=192.0.2.3", "--router-id", "255"),
        (*LB1, "--address", "192.0.2.11", "--address", "192.0.2.12"),
        ("--host", "lb1=fd00::1", "--host", "lb2=fd00::2", *LB1[4:]),
    ],
    ids=["two", "three", "addresses", "IPv6"],
)
def test_keepalived_takes_it(tmp_path: Path, file: str, options: tuple[str, ...]) -> None:
    result = run("keepalived", "-c", file, *options)
    assert result.exit_code == 0, result.output
    path = tmp_path / "keepalived.conf"
    path.write_text(result.output)
    with own_network():
        namespaces.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
        done = subprocess.run(
            ["keepalived", "--config-test", f"--use-file={path}"], capture_output=True, text=True, check=False
        )
    complaints = [
        line for line in done.stderr.splitlines() if "nsafe" not in line and "link local" not in line
    ]  # of the owner of this checkout, and that IPv6 has no link-local virtual address, which it needs not
    assert complaints == []


def test_it_runs_health_with_this_configuration(file: str) -> None:
    result = run("keepalived", "-c", file, *LB1)
    scripts = [line.strip() for line in result.output.splitlines() if line.strip().startswith("script ")]
    assert scripts[1] == f'script "/usr/bin/test -S {Path(file).parent}/admin.sock"'
    command = scripts[0].removeprefix('script "').removesuffix('"')
    assert command.endswith(f"lbproxy health -c {file}")
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "lbproxy is not running\n")


def test_the_user_and_the_replica_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "lbproxy.toml"
    fleet = '[fleet]\nname = "login"\nreplica = "lb2"\netcd = ["http://127.0.0.1:9"]\npassword = "hush"\nuser = "u"\n'
    path.write_text(f'virtual_addresses = ["192.0.2.10"]\nuser = "nobody"\n{CONFIG}\n{fleet}')
    result = run("keepalived", "-c", str(path), *HOSTS, "--interface", "lo")
    assert "script_user nobody\n" in result.output
    assert "router_id lb2\n" in result.output
    assert "hush" not in result.output


def test_without_a_user_it_is_that_of_the_unit(file: str) -> None:
    result = run("keepalived", "-c", file, *HOSTS, "--this", "lb1", "--interface", "lo")
    assert "script_user lbproxy\n" in result.output


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--host", "lb1=192.0.2.1"), "at least two hosts are needed"),
        ((*HOSTS, "--host", "lb3"), "'lb3' is not NAME=ADDRESS"),
        ((*HOSTS, "--host", "lb3=192.0.2"), "'192.0.2' is not an IP address"),
        ((*HOSTS, "--host", "lb3=192.0.2.1"), "'lb3=192.0.2.1': the name or the address is there twice"),
        ((*HOSTS, "--host", "lb3=fd00::1"), "of two IP versions"),
        ((*HOSTS, "--this", "lb9"), "there is no --host lb9=; there is lb1, lb2"),
        (HOSTS, f"there is no --host {socket.gethostname()}="),
        ((*HOSTS, "--interface", "eth 0"), "'eth 0' is none"),
        ((*HOSTS, "--user", "a b"), "'a b' is none"),
        ((*HOSTS, "--this", "lb1", "--notify", 'a "b"'), "without quotation marks"),
        ((*HOSTS, "--router-id", "0"), "not in the range"),
        ((*HOSTS, "--address", "192.0.2.10/24"), "without prefix and port"),
        ((*HOSTS, "--this", "lb1", "--address", "fd00::1"), "need the IP version of a virtual address"),
    ],
)
def test_bad_options(file: str, options: tuple[str, ...], text: str) -> None:
    result = run("keepalived", "-c", file, "--interface", "lo", *options)
    assert result.exit_code == 2
    assert text in result.output.replace("\n", " ")


def test_without_virtual_addresses_it_asks_for_them(tmp_path: Path) -> None:
    (tmp_path / "lbproxy.toml").write_text(CONFIG)
    result = run("keepalived", "-c", str(tmp_path / "lbproxy.toml"), *LB1)
    assert result.exit_code == 2
    assert "name them in virtual_addresses" in result.output
