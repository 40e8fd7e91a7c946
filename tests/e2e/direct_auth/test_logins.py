"""`python -m bench.load --url`: the harness sees what users would see, with tickets of a real KDC."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lbproxy.demo.realm import Realm

from ..balancer import Balancer
from ..client import HOST
from ..surroundings import ROOT
from .conftest import Fleet, Front
from .place import SERVICE, Place


@pytest.fixture(scope="session")
def user_keytabs(realm: Realm) -> list[Path]:
    return [realm.add_service(f"visitor{number}") for number in range(2)]


async def load(balancer: Balancer, directory: Path, *options: str) -> tuple[int, str, dict[str, Any]]:
    """The exit status, the page and the figures of a run."""
    page, file = directory / "report.html", directory / "report.json"
    address = "{}:{}".format(*balancer.address)
    command = ["-m", "bench.load", "--url", f"http://{HOST}/wsfed", "--connect", address, "--seconds", "1"]
    command += ["--instance", "json:instance", "--identity", "json:user", "--timeout", "30", *options]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, "--html", str(page), "--json", str(file), cwd=ROOT, stdout=-1, stderr=-1
    )
    out, err = await process.communicate()
    assert file.exists(), (out + err).decode()
    return process.returncode or 0, page.read_text(), json.loads(file.read_text())


async def test_tickets_are_spread_and_everybody_is_somebody(
    fleet: Fleet, front: Front, directory: Path, user_keytabs: list[Path]
) -> None:
    balancer = await front(await fleet("sample"))
    status, page, figures = await load(balancer, directory, "--keytab", str(user_keytabs[0]), "--users", "3")
    assert (status, figures["failed"], figures["crossed"], figures["failures"]) == (0, 0, 0, {})
    assert set(figures["steps"]) == {"connect", "challenge", "ticket", "sign-in", "request", "login"}
    assert figures["steps"]["request"]["count"] == 2 * figures["logins"]
    assert set(figures["instances"]) == {"c1", "c2", "c3"}
    assert figures["connections"] == 1.0
    assert "1 principals with tickets, 3 at once" in page


async def test_a_connector_with_another_key_is_seen(
    fleet: Fleet, front: Front, place: Place, directory: Path, realm: Realm, user_keytabs: list[Path], tmp_path: Path
) -> None:
    balancer = await front(await fleet("sample"))
    place.keytab("c2", _another_key(realm, tmp_path))
    status, page, figures = await load(balancer, directory, "--keytab", str(user_keytabs[1]))
    assert status == 1
    assert set(figures["instances"]) == {"c1", "c3"}
    assert "401 to the sign-in" in figures["failures"]
    assert set(figures["failures"]) <= {"401 to the sign-in", "401 to the request after it"}
    assert "401 to the sign-in" in page


def _another_key(realm: Realm, directory: Path) -> Path:
    with Realm(directory / "other", realm.name) as other:
        return other.add_service(SERVICE)
