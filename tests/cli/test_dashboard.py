from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
import webbrowser
from pathlib import Path

import pytest
from click.testing import CliRunner

from lbproxy.cli import dashboard, main
from lbproxy.dashboard.passwords import Passwords
from tests.cli.served import Busy, served


async def test_prints_a_link_and_ends_when_idle(tmp_path: Path) -> None:
    arguments = ["-m", "lbproxy", "dashboard", "--idle", "10ms", "--no-browser", "--config"]
    async with served(tmp_path, Busy()) as path:
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, *arguments, str(path)], capture_output=True, text=True, timeout=60
        )
    assert done.stderr == "Open this link within five minutes; it works once. Ctrl-C ends the dashboard.\n"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{16}/enter/[\w-]{43}\n", done.stdout)
    assert done.returncode == 0


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        found = CliRunner().invoke(main, ["dashboard", "--admin", f"unix:{tmp_path}/x.sock", "--port", port])
    assert found.exit_code == 1
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in found.output


def test_a_balancer_that_does_not_run_is_named(tmp_path: Path) -> None:
    found = CliRunner().invoke(main, ["dashboard", "--admin", f"unix:{tmp_path}/x.sock"])
    assert found.exit_code == 1
    assert "the balancer does not answer" in found.output


def test_the_link_is_in_no_argument_of_the_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    dashboard.open_page("http://127.0.0.1:4711/p/enter/secret")
    [page] = dashboard._PAGES
    dashboard._PAGES.clear()
    assert opened == [page.as_uri()]
    assert "secret" not in opened[0]
    assert page.stat().st_mode & 0o077 == 0
    assert 'url=http://127.0.0.1:4711/p/enter/secret"' in page.read_text()


def test_a_browser_needs_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not dashboard.has_browser()


def test_a_password_is_set_from_a_pipe(tmp_path: Path) -> None:
    file = str(tmp_path / "passwd")
    for said in ("added", "changed"):
        found = CliRunner().invoke(main, ["dashboard", "passwd", file, "olga"], input="correct horse\n")
        assert (found.exit_code, found.output) == (0, f"olga: {said}\n")
    assert Passwords(Path(file)).verify("olga", "correct horse")
    found = CliRunner().invoke(main, ["dashboard", "passwd", file, "olga@CORP"], input="x\n")
    assert (found.exit_code, "'olga@CORP' is not a name" in found.output) == (1, True)
    found = CliRunner().invoke(main, ["dashboard", "passwd", str(tmp_path / "none" / "passwd"), "olga"], input="x\n")
    assert (found.exit_code, "No such file" in found.output) == (1, True)


def test_without_its_extra_it_names_it() -> None:
    code = "import sys; sys.modules['markupsafe'] = None; from lbproxy.cli import main; main(['dashboard'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "lbproxy: error: the dashboard needs an optional part: install lbproxy[dashboard]" in done.stderr
