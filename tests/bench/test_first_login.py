"""Its parts, as any user and on this host; `python -m bench.first_login` is the whole."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from bench.first_login import (
    TOKEN,
    WAYS,
    Timed,
    connector,
    end,
    first_login,
    keep,
    kept,
    line,
    logs_in,
    release,
    script,
)
from lbproxy.demo.ports import free_port


def test_a_login_counts_once_it_is_answered_over_tls(tmp_path: Path) -> None:
    """Through lbproxy, by the command that its ways end with."""
    log = tmp_path / "log"
    with connector() as backend, log.open("wb") as out:
        port = free_port()
        words = WAYS["file"].commands[-1].format(port=port, backend=backend).split()[1:]
        command = [sys.executable, "-m", "lbproxy", *words, "--admin", f"unix:{tmp_path}/admin"]
        assert not logs_in(port)
        assert not logs_in(backend)  # which has no TLS
        begins = time.monotonic()
        with subprocess.Popen(command, stdout=out, stderr=out) as process:
            try:
                assert begins < first_login(process, port, log) <= time.monotonic()
            finally:
                process.terminate()


def test_the_connector_answers_only_a_login_with_200() -> None:
    with connector() as backend:
        client = http.client.HTTPConnection("127.0.0.1", backend, timeout=10)
        seen = []
        for headers in ({}, {"Authorization": TOKEN}):
            client.request("GET", "/", headers=headers)
            with client.getresponse() as answer:
                seen.append(answer.status)
        client.close()
        assert seen == [401, 200]


def test_commands_that_end_too_early_say_why(tmp_path: Path) -> None:
    log = tmp_path / "log"
    failing = ["sh", "-c", "echo no such package; exit 3"]
    with log.open("wb") as out, subprocess.Popen(failing, stdout=out) as process:
        with pytest.raises(RuntimeError, match="it ended with 3\nno such package"):
            first_login(process, free_port(), log)
        end(process)  # which has ended


def test_the_end_takes_the_child_along() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 1000 & echo begun; wait"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        end(process)
        assert process.stdout.read() == b""  # nobody has it open any more


@pytest.mark.parametrize("name", WAYS)
def test_the_last_command_serves_on_the_port_that_is_asked(name: str) -> None:
    text = script(WAYS[name], 1234, 5678)
    served = text.rpartition("\n: >/started\nexec ")[2] + WAYS[name].configuration.format(port=1234, backend=5678)
    assert ("127.0.0.1:1234" in served or "login.test:1234" in served, "127.0.0.1:5678" in served) == (True, True)
    assert "{" not in text
    subprocess.run(["sh", "-n"], input=text, text=True, check=True)


def test_a_line_has_the_medians() -> None:
    times = [Timed(9, 1), Timed(2, 0.5), Timed(4, 2.25)]
    assert line(WAYS["file"], times) == "| lbproxy, one file | 2 | 4.0 (2.0 to 9.0) | 1.0 |"
    assert line(WAYS["haproxy"], times).startswith("| HAProxy, Debian's | 5, and 10 lines of configuration |")


def test_times_of_several_runs_are_kept_for_each_release(tmp_path: Path) -> None:
    file = tmp_path / "times"
    for debian, name, timed in (
        ("trixie", "haproxy", Timed(4, 1)),
        ("bookworm", "file", Timed(2, 2)),
        ("trixie", "file", Timed(3, 1.5)),
        ("trixie", "haproxy", Timed(5, 2)),
    ):
        keep(file, debian, name, timed)
    assert kept(file, "trixie") == {"file": [Timed(3, 1.5)], "haproxy": [Timed(4, 1), Timed(5, 2)]}
    assert list(kept(file, "trixie")) == ["file", "haproxy"]


def test_the_release_is_that_of_the_package(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="0 Debian packages"):
        release(tmp_path)
    (tmp_path / "lbproxy_0.1.0-1~deb13_amd64.deb").touch()
    assert release(tmp_path) == "trixie"
    (tmp_path / "lbproxy_0.1.0-1~deb12_amd64.deb").touch()
    with pytest.raises(click.ClickException, match="2 Debian packages"):
        release(tmp_path)
