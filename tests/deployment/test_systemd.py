"""config/systemd: systemd accepts the units, they let lbproxy do what it does, and nothing that it does not."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from lbproxy.config.models import Admin, Config
from lbproxy.process.master.master import START_WITHIN

UNITS = Path(__file__).parents[2] / "config" / "systemd"
NAMES = ("lbproxy.service", "lbproxy.socket")

Unit = dict[str, list[str]]


@pytest.fixture
def copies(tmp_path: Path) -> list[str]:
    """The units, with a program and a document that are there: systemd looks for them."""
    for name in NAMES:
        text = (UNITS / name).read_text().replace("/opt/lbproxy/bin/lbproxy", "/bin/true")
        (tmp_path / name).write_text(re.sub("^Documentation=.*\n", "", text, flags=re.MULTILINE))
    return [str(tmp_path / name) for name in NAMES]


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
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=25", copies[0]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
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
