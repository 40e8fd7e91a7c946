"""`lbproxy instance diff`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.instance.connector import Connector

from .conftest import Run


@pytest.fixture
def copy(first: Connector, tmp_path: Path) -> Connector:
    shutil.copytree(first.directory, tmp_path / "copy")
    return Connector(tmp_path / "copy")


def test_alike(run: Run, first: Connector, copy: Connector) -> None:
    done = run("diff", first.directory, copy.directory)
    assert (done.exit_code, done.stdout) == (0, f"{first.directory} and {copy.directory} are alike\n")


def test_what_differs_and_what_users_notice(run: Run, first: Connector, copy: Connector) -> None:
    copy.set(SERVER_URL="https://c2:4000", SESSION_SECRET="f" * 32)
    done = run("diff", first.directory, copy.directory)
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert lines[0] == (
        f"server_url (SERVER_URL) differs: https://login.corp.example at {first.directory}, https://c2:4000 at"
        f" {copy.directory}"
    )
    assert "past the balancer" in lines[1]
    assert lines[2] == "session_secret (SESSION_SECRET) differs"
    assert "f" * 32 not in done.stdout


def test_as_json(run: Run, first: Connector, copy: Connector, tmp_path: Path) -> None:
    copy.set(LDAP_URL="ldap://b")
    (tmp_path / "facts.json").write_text(run("facts", "--dir", copy.directory).stdout)
    done = run("diff", "--json", first.directory, tmp_path / "facts.json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["same"], [one["fact"] for one in found["differences"]]) == (1, False, ["ldap"])
    assert found["unknown"] == {}


def test_a_pack(run: Run, first: Connector, key: Path, packed: Path) -> None:
    assert run("diff", packed, first.directory).exit_code == 0
    first.set(LDAP_URL="ldap://b")
    closed, opened = run("diff", packed, first.directory), run("diff", "--identity", key, packed, first.directory)
    assert "ldap (LDAP_URL) differs\n" in closed.stdout
    assert "ldap (LDAP_URL) differs: ldaps://dc.corp.example at" in opened.stdout


def test_environments_are_given_in_order(run: Run, first: Connector, copy: Connector, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    (tmp_path / "b").write_text("SERVER_URL=https://env\n")
    given = ("--environment", tmp_path / "a", "--environment", tmp_path / "b")
    assert "https://env at" in run("diff", *given, first.directory, copy.directory).stdout
    wrong = run("diff", *given[:2], first.directory, copy.directory)
    assert (wrong.exit_code, "give --environment once for each directory" in wrong.stderr) == (2, True)


def test_what_cannot_be_read(run: Run, first: Connector, copy: Connector, tmp_path: Path) -> None:
    (copy.directory / "config.json").write_text("{")
    done = run("diff", first.directory, copy.directory)
    assert (done.exit_code, done.stderr) == (2, "lbproxy: error: config.json, line 1: is not JSON\n")
    done = run("diff", "--ca", tmp_path / "missing", first.directory, first.directory)
    assert (done.exit_code, "missing: cannot be used for TLS" in done.stderr) == (2, True)
