from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lbproxy.cli import main
from lbproxy.config import load

LEAST = ("--listen", "127.0.0.1:8080", "--to", "http://10.0.0.11:4000")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def init(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["init", *arguments])


def test_flags_make_a_file_that_passes_check(tmp_path: Path) -> None:
    result = init(*LEAST, "--server-url", "https://login.test", "--self-signed")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "lbproxy.toml is fit to run: lbproxy run -c lbproxy.toml\n"
    assert load(tmp_path / "lbproxy.toml").server_url == "https://login.test"
    assert CliRunner().invoke(main, ["check", "-c", "lbproxy.toml"]).exit_code == 0


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "lbproxy.toml").write_text("mine")
    result = init(*LEAST)
    assert result.exit_code == 2
    assert "lbproxy.toml exists; --force replaces it" in result.stderr
    assert (tmp_path / "lbproxy.toml").read_text() == "mine"
    assert init(*LEAST, "--force").exit_code == 0


def test_without_a_terminal_and_options_it_says_which_are_needed() -> None:
    result = init()
    assert result.exit_code == 2
    assert "without a terminal nothing is asked: --listen and --to are needed" in result.stderr


def test_what_is_still_to_be_done_is_said() -> None:
    result = init(*LEAST, "--certificate", "none.pem", "--key", "none.key")
    assert result.exit_code == 1
    assert "listener.login.tls.certificate" in result.stderr
    assert "it can run when that is mended" in result.stderr
    result = init(*LEAST, "--to", "http://10.0.0.11:4000", "-o", "twice.toml")
    assert result.exit_code == 1
    assert "is taken by pool.connectors.backends[0].url" in result.stderr


def test_a_directory_that_is_not_there() -> None:
    assert "none/lbproxy.toml" in init(*LEAST, "-o", "none/lbproxy.toml").stderr


def test_five_questions_at_a_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "lbproxy", "init"], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    os.close(theirs)
    answers = ("login.test", "https://login.test", "127.0.0.1:8443", "http://a:1, http://b:1", "", "http", "/page")
    os.write(ours, "".join(f"{one}\n" for one in answers).encode())
    assert process.stdout is not None
    with io.TextIOWrapper(process.stdout) as output:
        said = output.read()
    assert process.wait() == 0, said
    os.close(ours)
    assert "'login.test' is not a URL that begins with http:// or https://" in said
    config = load(tmp_path / "lbproxy.toml")
    assert [backend.url for backend in config.pools["connectors"].backends] == ["http://a:1", "http://b:1"]
    assert config.pools["connectors"].check.path == "/page"
    assert config.listeners["login"].tls is not None
