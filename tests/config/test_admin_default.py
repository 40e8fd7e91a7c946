from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from lbproxy.config import Address
from lbproxy.config import admin_default as module
from lbproxy.config.admin_default import admin_default as default


@pytest.fixture(autouse=True)
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of a service, in a /run of the test's own."""
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "lbproxy" / "admin.sock"
    monkeypatch.setattr(module, "SYSTEM", path)
    return path


@pytest.fixture
def users(tmp_path: Path) -> Path:
    """$XDG_RUNTIME_DIR."""
    directory = tmp_path / "user"
    directory.mkdir()
    return directory


@pytest.fixture
def only_users_place(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may write anywhere, so it is the answer that says no."""

    real = os.access

    def access(path: str | Path, mode: int) -> bool:
        return not str(path).startswith(str(system.parent.parent)) and real(path, mode)

    monkeypatch.setattr(os, "access", access)


def test_a_service_listens_in_run(system: Path, users: Path) -> None:
    assert default({"XDG_RUNTIME_DIR": str(users)}) == Address(path=system)


@pytest.mark.usefixtures("only_users_place")
def test_a_user_without_rights_there_listens_in_the_own_directory(users: Path) -> None:
    assert default({"XDG_RUNTIME_DIR": str(users)}) == Address(path=users / "lbproxy" / "admin.sock")


@pytest.mark.usefixtures("only_users_place")
@pytest.mark.parametrize("session", [{}, {"XDG_RUNTIME_DIR": "/none/of/this/user"}])
def test_a_session_without_such_a_directory_has_its_home(tmp_path: Path, session: dict[str, str]) -> None:
    home = tmp_path / "home"
    home.mkdir()
    assert default({**session, "HOME": str(home)}) == Address(path=home / ".lbproxy" / "admin.sock")


@pytest.mark.usefixtures("only_users_place")
@pytest.mark.parametrize("environ", [{}, {"XDG_RUNTIME_DIR": ""}, {"XDG_RUNTIME_DIR": "relative", "HOME": "/none"}])
def test_without_a_place_the_usual_one_is_named(system: Path, environ: dict[str, str]) -> None:
    assert default(environ) == Address(path=system)


def test_commands_find_the_balancer_that_runs(users: Path) -> None:
    (users / "lbproxy").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(users / "lbproxy" / "admin.sock"))
        assert default({"XDG_RUNTIME_DIR": str(users)}) == Address(path=users / "lbproxy" / "admin.sock")
