"""config/systemd: systemd accepts the units, they let lbproxy do what it does, and nothing that it does not."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from lbproxy.cli.register import command
from lbproxy.config.models import Admin, Config, Fleet
from lbproxy.process.master.master import START_WITHIN

UNITS = Path(__file__).parents[2] / "config" / "systemd"
NAMES = ("lbproxy.service", "lbproxy.socket", "lbproxy-register@.service")

Unit = dict[str, list[str]]


@pytest.fixture
def copies(tmp_path: Path) -> list[str]:
    """The units, with a program and a document that are there: systemd looks for them."""
    for name in NAMES:
        text = (UNITS / name).read_text().replace("/opt/lbproxy/bin/lbproxy", "/bin/true")
        copy = tmp_path / name.replace("@", "@c1")
        copy.write_text(re.sub("^Documentation=.*\n", "", text, flags=re.MULTILINE))
    return [str(tmp_path / name.replace("@", "@c1")) for name in NAMES]


def unit(name: str) -> Unit:
    """Every key with its values; no key here is in two sections."""
    found: Unit = defaultdict(list)
    for line in (UNITS / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[key].append(value)
    return found


def test_systemd_accepts_them(copies: list[str]) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *copies], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_little_is_exposed(copies: list[str]) -> None:
    """By systemd's own measure: 0 is nothing, 10 is everything, and what is given here is tenths of that."""
    for service in (copies[0], copies[2]):
        analysis = ["systemd-analyze", "security", "--offline=true", "--threshold=16", service]
        done = subprocess.run(analysis, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


def test_what_the_service_waits_for() -> None:
    service = unit("lbproxy.service")
    assert int(service["TimeoutStartSec"][0]) > START_WITHIN
    assert int(service["TimeoutStopSec"][0]) > Config.model_fields["drain_timeout"].default
    assert service["Type"] == ["notify"]
    assert service["KillMode"] == ["mixed"]
    assert float(service["WatchdogSec"][0]) >= 10


def test_the_directories_are_those_of_the_defaults() -> None:
    service = unit("lbproxy.service")
    assert str(Admin().bind.path) == f"/run/{service['RuntimeDirectory'][0]}/admin.sock"
    for key in ("ExecStart", "ExecReload"):
        assert service[key][0].endswith(f" -c /etc/{service['ConfigurationDirectory'][0]}/lbproxy.toml")


def test_the_socket_is_passed_under_the_listeners_name() -> None:
    socket = unit("lbproxy.socket")
    assert socket["FileDescriptorName"] == ["login"]
    assert socket["Service"] == ["lbproxy.service"]
    assert socket["Accept"] == ["no"]


def test_a_registration_has_time_to_drain_and_comes_back_after_its_lease() -> None:
    service = unit("lbproxy-register@.service")
    line = service["ExecStart"][0].replace("${POOL}", "p").replace("${URL}", "http://c1:4000").replace("%i", "c1")
    [_, name, *arguments, more] = line.split()
    assert more == "$OPTIONS"
    with command.make_context(name, arguments) as context:
        assert context.params["name"] == "c1"
        assert int(service["TimeoutStopSec"][0]) > context.params["drain_timeout"]
    assert int(service["RestartSec"][0]) >= Fleet.model_fields["lease"].default
