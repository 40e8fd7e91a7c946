"""`lbproxy demo` as a whole: what `make run` starts."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from click.testing import CliRunner

from lbproxy.cli import demo, main
from lbproxy.demo.tour import tour
from tests.ports import free_block

DEMO = [sys.executable, "-m", "lbproxy", "demo"]
SMALL = ("--no-kerberos", "--no-fleet")
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """start("--once", ...) runs the demo, with temporary directories in tmp_path."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        environment = os.environ | {"TMPDIR": str(tmp_path)}
        command = [*DEMO, "--port", str(free_block()), *arguments]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        running.append(process)
        return process

    yield start
    for process in running:
        with process:
            process.terminate()


def instances(output: str) -> list[Counter[str]]:
    """How often each instance answered, for each block of lines that name one."""
    blocks = re.findall(r'(?:^"instance": "c\d"\n)+', output, re.MULTILINE)
    return [Counter(re.findall(r"c\d", block)) for block in blocks]


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def read_until(output: IO[str], words: str) -> str:
    """Everything up to the line that has `words`."""
    lines = []
    for line in output:
        lines.append(line)
        if words in line:
            return "".join(lines)
    raise AssertionError("".join(lines))


def test_the_tour_once(start: Start, tmp_path: Path) -> None:
    process = start("--once")
    output, _ = process.communicate()
    assert process.returncode == 0, output
    check_tour(output, '"alice@CORP.EXAMPLE"')
    assert not list(tmp_path.iterdir())


def check_tour(output: str, user: str) -> None:
    assert f'{{"user": {user}, "instance": ' in output
    for issuer in ("lbproxy demo mint", "lbproxy demo users"):
        assert f'"certificate": "bob", "certificate_issuer": "{issuer}"' in output
    before, drained, *killed = instances(output)
    assert before == {"c1": 3, "c2": 3, "c3": 3}
    assert (drained.total(), drained["c1"]) == (9, 0)
    if "fleet demo" in output:
        second, *killed = killed
        assert (second.total(), second["c1"]) == (9, 0)
        assert "member; 2 replicas" in output
    if "alice" in user:
        assert re.search(r"^c1 .* signed in", output, re.MULTILINE)
    last = sum(killed, Counter())
    assert (last.total(), last["c2"]) == (18, 0)
    assert "updated: c1, c2, c3" in output
    assert re.search(r"^http://127\.0\.0\.1:\d+/\S+$", output, re.MULTILINE), "the dashboard's link"
    assert re.search(r"\bc2\b.*\bdown\b", output)


@pytest.mark.parametrize(
    ("number", "arguments", "parts"),
    [
        (signal.SIGTERM, (), 7),  # three connectors, the KDC, two balancers, etcd
        (signal.SIGINT, SMALL, 4),  # three connectors, a balancer
    ],
)
def test_a_signal_ends_it_and_leaves_nothing(
    start: Start, tmp_path: Path, number: signal.Signals, arguments: tuple[str, ...], parts: int
) -> None:
    process = start(*arguments)
    assert process.stdout is not None
    output = read_until(process.stdout, "Ctrl-C ends everything")
    assert re.search(r"^  \. \S+/env$", output, re.MULTILINE)
    children = children_of(process.pid)
    assert len(children) == parts
    process.send_signal(number)
    rest, _ = process.communicate()
    assert process.returncode == 0, rest
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert not list(tmp_path.iterdir())


def test_what_it_tells_and_what_it_leaves_in_its_own_directory(start: Start, tmp_path: Path) -> None:
    """One demo for four things: a start of it is most of what each takes."""
    own = tmp_path / "own"
    process = start(*SMALL, "--dir", str(own))
    assert process.stdout is not None
    output = read_until(process.stdout, "Ctrl-C ends everything")
    check_commands(output, tmp_path)
    check_good_order(process.stdout, own)
    check_killed(process.stdout, output)
    process.terminate()
    process.communicate()
    names = {path.name for path in own.iterdir()}
    assert {"lbproxy.toml", "lb1.log", "lb1.access.log", "c1.journal", "env"} <= names, "its own directory is kept"


def check_commands(output: str, directory: Path) -> None:
    """They are short."""
    commands = re.findall(r"^  (?!\. )(\S.*)$", output, re.MULTILINE)
    assert len(commands) > 10
    assert not [line for line in commands if len(line) > 130 or str(directory) in line]


def check_good_order(said: IO[str], own: Path) -> None:
    """A connector that ends in good order is back at once."""
    subprocess.run([str(own / "bin" / "restart"), "c1"], check=True)
    assert "It starts again in" not in read_until(said, "c1 runs again")


def check_killed(said: IO[str], output: str) -> None:
    """A connector that is killed is announced."""
    env = re.search(r"^  \. (\S+/env)$", output, re.MULTILINE)
    [victim] = re.findall(r"^  (kill -9 .*)$", output, re.MULTILINE)
    assert env
    subprocess.run(["sh", "-c", f". {env[1]}; {victim}"], check=True)
    assert read_until(said, "c2 is dead. It starts again in 10 s.")


def test_a_directory_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    result = CliRunner().invoke(main, ["demo", "--dir", str(tmp_path)])
    assert result.exit_code == 1
    assert f"{tmp_path} is not empty" in result.output


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = CliRunner().invoke(main, ["demo", "--dir", str(tmp_path / "file" / "demo")])
    assert result.exit_code == 1
    assert result.output == f"lbproxy: error: {tmp_path}/file/demo cannot be used: Not a directory\n"


def test_a_port_that_there_is_none_of() -> None:
    result = CliRunner().invoke(main, ["demo", "--port", "70000"])
    assert result.exit_code == 2
    assert "70000 is not in the range" in result.output


def test_without_gssapi_it_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The tour's commands write to this process's output; the first one is enough here."""
    monkeypatch.setitem(sys.modules, "gssapi", None)  # what an import of a missing package meets
    monkeypatch.setattr(demo, "tour", lambda stack: tour(stack)[:1])
    result = CliRunner().invoke(main, ["demo", "--port", str(free_block()), "--once", "--no-fleet"])
    assert result.exit_code == 0, result.output
    assert "Without Kerberos: Kerberos needs an optional part: install lbproxy[kerberos]" in result.output
    assert "One request without Kerberos" in result.output
    assert '{"user": null, "instance": ' in capfd.readouterr().out


def test_a_command_that_fails_makes_the_status_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    curl = tmp_path / "curl"
    curl.write_text("#!/bin/sh\nexit 7\n")
    curl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    result = CliRunner().invoke(main, ["demo", "--port", str(free_block()), "--once", *SMALL])
    assert result.exit_code == 1
    assert "exit status 7" in result.output
    assert "Nine requests" not in result.output
