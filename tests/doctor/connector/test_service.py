from __future__ import annotations

import os
from pathlib import Path

import pytest

from lbproxy.doctor.connector import service
from lbproxy.doctor.connector.service import restarts
from lbproxy.doctor.finding import UnseenError
from lbproxy.errors import StartError
from lbproxy.instance import processes
from tests.doctor.connector.conftest import Looking
from tests.doctor.looking import told
from tests.instance.connector import Connector


def unit(path: Path, text: str) -> Path:
    path.write_text(f"[Unit]\nDescription=x\n[Service]\n{text}\n")
    return path


async def test_a_unit_that_restarts_it_always(look: Looking, connector: Connector, tmp_path: Path) -> None:
    path = unit(tmp_path / "c.service", f"Restart=always\nWorkingDirectory={connector.directory}")
    assert told(await restarts(look(asked={"unit": path}))) == [f"ok: {path}: Restart=always"]


async def test_status_0_is_no_failure(look: Looking, tmp_path: Path) -> None:
    path = unit(tmp_path / "c.service", "Restart=on-failure\nWorkingDirectory=/elsewhere")
    found = list(await restarts(look(asked={"unit": path})))
    assert told(found) == [
        f"problem: {path}: Restart=on-failure",
        f"warning: {path}: WorkingDirectory=/elsewhere",
    ]
    assert found[0].repair == "systemctl edit c.service: [Service] Restart=always RestartSec=2"


async def test_a_drop_in_wins(look: Looking, connector: Connector, tmp_path: Path) -> None:
    path = unit(tmp_path / "c.service", f"WorkingDirectory={connector.directory}")
    assert told(await restarts(look(asked={"unit": path})))[0] == f"problem: {path}: Restart=no"
    (tmp_path / "c.service.d").mkdir()
    unit(tmp_path / "c.service.d" / "restart.conf", "Restart=always")
    assert told(await restarts(look(asked={"unit": path}))) == [f"ok: {path}: Restart=always"]


@pytest.mark.parametrize("group", ["-Hevil.service", "--host=evil.service"])
async def test_a_control_group_is_no_option_of_systemctl(
    look: Looking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str
) -> None:
    """Who runs a process may name its group; systemctl -H would go to that host as root."""
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >{tmp_path}/asked\necho Restart=always\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    assert service._properties(group)["Restart"] == "always"
    asked = (tmp_path / "asked").read_text().split()
    assert asked[asked.index("--") :] == ["--", group]


def test_the_unit_of_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "7"
    own.mkdir()
    monkeypatch.setattr(processes, "PROC", tmp_path)
    for group, unit in (
        ("/system.slice/connector.service", "connector.service"),
        ("/user.slice/user-7.slice/user@7.service/app.slice/connector.service", None),
        ("/user.slice/user-7.slice/session-1.scope", None),
    ):
        (own / "cgroup").write_text(f"0::{group}\n")
        assert service._unit(7) == unit


async def test_no_process(look: Looking, connector: Connector) -> None:
    assert told(await restarts(look())) == [f"problem: no process runs {connector.directory}/server.js"]


async def test_what_is_not_known_is_not_seen(look: Looking, tmp_path: Path) -> None:
    with pytest.raises(UnseenError, match="which service"):
        await restarts(look(asked={"kind": "files"}))
    with pytest.raises(StartError, match="No such file"):
        await restarts(look(asked={"unit": tmp_path / "none"}))
