from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lbproxy.cli import main
from lbproxy.config import Address, load

LEAST = ("--listen", "127.0.0.1:8080", "--to", "http://10.0.0.11:4000")
CTRL_C, CTRL_D = "\x03", "\x04"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def init(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["init", *arguments])


def test_flags_make_a_file_that_passes_check(tmp_path: Path) -> None:
    result = init(*LEAST, "--server-url", "https://login.test", "--self-signed")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == [
        "lbproxy.toml is fit to run: lbproxy run -c lbproxy.toml",
        "Whether the backends answer: lbproxy check --connect -c lbproxy.toml",
    ]
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


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_asked_or_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for folder in ("none", "file"):
        said, status = at_a_terminal("init", "-o", f"{folder}/lbproxy.toml", "--self-signed", keys=CTRL_D)
        assert f"{folder}/lbproxy.toml" in said
        assert f"{tmp_path / folder} is not a directory that you may write to" in said
        assert ("The address that users know" in said, status) == (False, 1)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    assert "is not a directory that you may write to" in init(*LEAST, "--self-signed").stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def at_a_terminal(*arguments: str, keys: str, until: str = "", then: str = "") -> tuple[str, int]:
    """What lbproxy says and its exit status, when `keys` are typed, and `then` once it has said `until`."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "lbproxy", *arguments],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    assert process.stdout is not None
    with process, process.stdout as output:
        os.write(ours, keys.encode())
        said = b""
        while until.encode() not in said:
            said += os.read(output.fileno(), 4096) or pytest.fail(f"it ended before {until!r}: {said!r}")
        while then:  # more than once, as people do: Ctrl-C just before a read interrupts nothing
            os.write(ours, then.encode())
            if select.select([output], [], [], 0.2)[0]:
                break
        said += output.read()
    os.close(ours)
    return said.decode(), process.returncode


def typed(*answers: str) -> str:
    return "".join(f"{one}\n" for one in answers)


def test_five_questions_at_a_terminal(tmp_path: Path) -> None:
    keys = typed("login.test", " https://login.test", "127.0.0.1:8443", "http://a:1, http://b:1", "", "http", "/page")
    said, status = at_a_terminal("init", keys=keys)
    assert status == 0, said
    assert "'login.test' is not a URL that begins with http:// or https://" in said
    config = load(tmp_path / "lbproxy.toml")
    assert [backend.url for backend in config.pools["connectors"].backends] == ["http://a:1", "http://b:1"]
    assert config.pools["connectors"].check.path == "/page"
    assert config.listeners["login"].tls is not None


def test_the_port_that_users_know_is_the_one_to_listen_at(tmp_path: Path) -> None:
    said, status = at_a_terminal("init", keys=typed("http://login.test:8080", "", "", "tcp"))
    assert status == 0, said
    assert load(tmp_path / "lbproxy.toml").listeners["login"].bind == Address("0.0.0.0", 8080)


def test_an_answer_that_the_file_may_not_hold_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "probe.keytab").touch()
    backends = (",", "http://a:1 http://a:1", "tcp://a:1 http://b:1", "http://a:1")
    probe = ("kerberos", "page", "/page", "probe", "probe@CORP.TEST", "~/probe.keytab")
    said, _ = at_a_terminal("init", keys=typed("http://login.test", "", *backends, *probe))
    assert re.findall("Error: (.*)", said) == [
        "one backend is needed at the least",
        "'http://a:1' is there twice",
        "tcp:// passes connections through, which is for all backends or for none of them",
        "'page' is not a path that begins with /",
        "'probe' is not a principal with its realm, such as svc-probe@CORP.EXAMPLE",
    ]
    kerberos = load(tmp_path / "lbproxy.toml").pools["connectors"].check.kerberos
    assert kerberos is not None
    assert (kerberos.principal, kerberos.keytab) == ("probe@CORP.TEST", tmp_path / "home" / "probe.keytab")


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D], ids=["ctrl-c", "ctrl-d"])
def test_whoever_leaves_is_told_that_nothing_is_written(tmp_path: Path, key: str) -> None:
    said, status = at_a_terminal("init", keys=typed("https://login.test"), until="Listen at", then=key)
    assert (said.splitlines()[-1], status) == ("lbproxy: lbproxy.toml is not written", 1)
    assert list(tmp_path.iterdir()) == []
