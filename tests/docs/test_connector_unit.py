"""docs/connectors/auth0.md: systemd and doctor accept the printed unit. tests/deployment runs it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lbproxy.doctor.connector.service import judge
from lbproxy.doctor.connector.sight import Asked, Sight
from lbproxy.doctor.finding import Outcome
from lbproxy.instance.model import Where
from lbproxy.preflight.unit_file import unit_settings

from .pages import block


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """As it is printed, with a program that is there."""
    path = tmp_path / "auth0-adldap.service"
    path.write_text(block("connectors/auth0.md", "[Unit]").replace("/usr/bin/node", "/bin/true"))
    return path


def test_systemd_accepts_it(unit: Path) -> None:
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_doctor_accepts_it(unit: Path) -> None:
    settings = unit_settings(unit)
    sight = Sight(Asked("auth0", Where(Path(settings["WorkingDirectory"])), unit=unit))
    found = list(judge(sight, str(unit), settings["Restart"], settings["WorkingDirectory"]))
    assert [one.outcome for one in found] == [Outcome.OK]
