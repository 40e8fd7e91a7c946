from __future__ import annotations

import os
import re
import socket
import tempfile
import time
from pathlib import Path

import pytest

from lbproxy import doctor
from lbproxy.doctor.directory.apart import apart
from lbproxy.doctor.directory.errors import DirectoryError
from lbproxy.doctor.directory.questions import finds_users


async def test_what_it_returns_and_its_environment() -> None:
    assert await apart(60, {"LBPROXY_X": "here"}, os.getenv, "LBPROXY_X") == "here"
    assert await apart(60, {}, os.getenv, "LBPROXY_X") is None


async def test_nothing_is_imported_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be a connector's, whose account could make root run what it likes."""
    for name in ("pickle", "asyncio", "lbproxy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    assert await apart(60, {}, os.getenv, "LBPROXY_NONE") is None


async def test_what_it_raises(unused_tcp_port: int) -> None:
    url = f"ldap://127.0.0.1:{unused_tcp_port}"
    with pytest.raises(DirectoryError, match=r"(?i)can't contact"):
        await apart(60, {}, finds_users, url, "a", "b", "", "", "", "")


async def test_one_that_crashes_is_told() -> None:
    with pytest.raises(DirectoryError, match="ended with status 1"):
        await apart(60, {}, int, "no number")


async def test_one_that_hangs_is_killed() -> None:
    with pytest.raises(DirectoryError, match=r"no answer within 0\.2 s"):
        await apart(0.2, {}, time.sleep, 3600)


async def test_a_handshake_that_never_ends_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ldaps://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(DirectoryError, match="no answer within 1 s"):
            await apart(1, {}, finds_users, url, "a", "b", "", "", "", "")
    assert list(tmp_path.iterdir()) == []  # nor is its file of authorities left


def test_libldap_is_used_by_processes_of_their_own_only() -> None:
    """See `apart`: whoever imports `session` or `questions` in the command's process would meet what it says there."""
    called = re.compile(r"(?<![\w.])(?:session|look|finds_users)\(")
    folder = Path(doctor.__file__).parent
    users = {path.name for path in folder.rglob("*.py") if called.search(path.read_text())}
    assert users == {"session.py", "questions.py"}
