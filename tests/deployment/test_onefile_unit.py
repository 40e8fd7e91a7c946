"""The one-file program under its unit, in a machine without Python: started, and upgraded under load to another file.

LBPROXY_FULL=1, as root, after `make dist`: this test takes the file in dist/.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployment.machine import ROOT_OF_TESTS, Machine, root_with
from tests.deployment.sample import CONFIGURATION, CONNECTOR
from tests.deployment.test_debian import FILE, URL, end, fetch, main_pid
from tests.deployment.test_onefile import FILES

PROGRAM = "/opt/lbproxy/bin/lbproxy"
FOLDER = re.compile(rb"%s/([0-9a-f]{32})\0")
"""Where the program file names the folder that it is unpacked into: the digest of its payload."""

pytestmark = [
    pytest.mark.skipif(not os.environ.get("LBPROXY_FULL"), reason="LBPROXY_FULL=1 boots machines"),
    pytest.mark.skipif(not FILES, reason="make dist has made no one-file program"),
    pytest.mark.skipif(
        os.geteuid() != 0 or not shutil.which("systemd-nspawn") or not shutil.which("mmdebstrap"),
        reason="machines need root, mmdebstrap and systemd-nspawn",
    ),
]


@pytest.fixture(scope="module")
def digests(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A folder with the program and with one of another digest, `next`; and both digests."""
    folder = tmp_path_factory.mktemp("dist")
    content = FILES[-1].read_bytes()
    found = FOLDER.search(content)
    assert found
    other = found[1][::-1]
    (folder / "lbproxy").write_bytes(content)
    (folder / "next").write_bytes(content.replace(found[1], other))
    shutil.copy(ROOT_OF_TESTS / "config" / "systemd" / "lbproxy.service", folder)
    return folder, found[1].decode(), other.decode()


@pytest.fixture(scope="module")
def machine(digests: tuple[Path, str, str]) -> Iterator[Machine]:
    """With the unit and its user, and the backend of CONFIGURATION."""
    with Machine(root_with("bookworm", ["libc6"]), {"/dist": digests[0]}) as machine:
        machine.python_beside(*CONNECTOR)
        assert machine.run("sh", "-c", "command -v python3", check=False).returncode
        machine.run("useradd", "--system", "--user-group", "--no-create-home", "lbproxy")
        machine.run("install", "-D", "/dist/lbproxy", PROGRAM)
        machine.run("install", "-m", "0644", "/dist/lbproxy.service", "/etc/systemd/system")
        machine.run("mkdir", "-p", "/etc/lbproxy")
        machine.write(FILE, CONFIGURATION)
        yield machine


def unpacked(machine: Machine) -> str:
    """The digest of what the master runs."""
    ran = machine.ask("readlink", f"/proc/{main_pid(machine)}/exe")
    return Path(ran).parent.name


def test_an_upgrade_to_another_file_under_load_loses_nothing(machine: Machine, digests: tuple[Path, str, str]) -> None:
    machine.run("systemctl", "start", "lbproxy.service")
    assert fetch(machine) == "200"
    pid = main_pid(machine)
    assert unpacked(machine) == digests[1]

    load = machine.python_beside("tests.deployment.load", URL)
    cursor = machine.cursor()
    machine.run("install", "/dist/next", PROGRAM)
    machine.run("systemctl", "kill", "--signal=USR2", "--kill-whom=main", "lbproxy.service")
    machine.logged(cursor, "generation_serves")
    assert unpacked(machine) == digests[2]
    answered, lost = end(load)
    assert (answered > 100, lost) == (True, [])
    assert main_pid(machine) == pid
    machine.run("systemctl", "reload", "lbproxy.service")
    assert fetch(machine) == "200"
