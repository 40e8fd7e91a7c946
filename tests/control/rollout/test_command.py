from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from lbproxy.control.rollout.command import Command
from lbproxy.control.rollout.plan import Target
from lbproxy.errors import RolloutError

C1 = Target("connectors", "c1", "https://10.0.0.1:4443")


def python(code: str, *arguments: str) -> str:
    """A command line that runs `code`."""
    return shlex.join([sys.executable, "-c", code, *arguments])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("true {name} {url}", ["true", "c1", "https://10.0.0.1:4443"]),
        ("true --to={host}:{port}", ["true", "--to=10.0.0.1:4443"]),
        ("true '{name} and {name}' \"\"", ["true", "c1 and c1", ""]),
        ("true '{{.Names}}' '{{Names}}' {} {a,b}", ["true", "{{.Names}}", "{{Names}}", "{}", "{a,b}"]),
        ("sh -c 'echo ${HOME} { x; }' {name}", ["sh", "-c", "echo ${HOME} { x; }", "c1"]),
    ],
)
def test_is_filled_in(tmp_path: Path, line: str, words: list[str]) -> None:
    assert Command(line, tmp_path).filled(C1) == words


@pytest.mark.parametrize("value", ["a b", "a;b", "$(x)", "'", '"', "{url}", "\\", "\n", "-rf"])
def test_a_value_stays_within_its_argument(tmp_path: Path, value: str) -> None:
    assert Command("true x{name}y", tmp_path).filled(Target("p", value, C1.url)) == ["true", f"x{value}y"]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("", "there is no command"),
        ("  ", "there is no command"),
        ("true 'x", "No closing quotation"),
        ("/nonexistent/update {name}", "there is no program /nonexistent/update"),
        ("no-such-program-anywhere", "there is no program no-such-program-anywhere"),
        ("true {hots}", r"there is no placeholder \{hots\}; there are \{name\}, \{url\}, \{host\}, \{port\}"),
        ("{nmae} {name}{NAME} --x={Url}", r"there is no placeholder \{NAME\}, \{Url\}, \{nmae\}; there are"),
    ],
)
def test_what_cannot_work_is_said_at_once(tmp_path: Path, line: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Command(line, tmp_path)


async def test_its_output_is_kept_and_added_to(tmp_path: Path) -> None:
    code = "import sys; print('out', sys.argv[1], flush=True); print('error', file=sys.stderr)"
    command = Command(python(code, "{name}"), tmp_path / "logs")
    await command.run(C1)
    await command.run(C1)
    log = tmp_path / "logs" / "connectors" / "c1.log"
    assert command.log(C1) == log
    lines = log.read_text().splitlines()
    assert lines[1:3] == lines[4:6] == ["out c1", "error"]
    for header in (lines[0], lines[3]):
        assert re.fullmatch(r"--- \d{4}-\d\d-\d\dT\S+Z \S+python\S* -c .* c1", header)


def test_logs_that_cannot_be_kept_are_found_out_before(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    Command("true", tmp_path / "logs").prepare([C1])
    assert (tmp_path / "logs" / "connectors").is_dir()
    with pytest.raises(RolloutError, match=r"^--logs: .*/file/connectors cannot be made: Not a directory$"):
        Command("true", tmp_path / "file").prepare([C1])


async def test_it_has_no_input_and_no_terminal(tmp_path: Path) -> None:
    code = "import os, sys; assert sys.stdin.read() == ''; assert os.getsid(0) == os.getpid()"
    await Command(python(code), tmp_path).run(C1)


async def test_a_status_other_than_0_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(RolloutError) as failure:
        await Command(python("raise SystemExit(3)"), tmp_path).run(C1)
    assert str(failure.value) == f"the command ended with status 3; its output is in {tmp_path}/connectors/c1.log"


async def test_a_signal_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(RolloutError, match="the command was killed by SIGKILL; its output is in"):
        await Command(python("import os; os.kill(os.getpid(), 9)"), tmp_path).run(C1)


async def test_a_program_that_is_not_there_for_this_backend(tmp_path: Path) -> None:
    with pytest.raises(RolloutError, match=r"the command cannot be run: .*No such file"):
        await Command(f"{tmp_path}/update-{{name}}", tmp_path).run(C1)


async def test_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with pytest.raises(RolloutError, match=r"the command cannot be run: .*Not a directory|File exists"):
        await Command("true", tmp_path / "logs").run(C1)


@pytest.mark.parametrize("stubborn", ["nobody", "the command", "its child"])
async def test_cancelled_it_ends_with_what_it_started(
    tmp_path: Path, stubborn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its child holds a pipe open, which ends when the child does; that the command has ended is awaited."""
    monkeypatch.setattr("lbproxy.control.rollout.command._GRACE", 0.1 if stubborn == "the command" else 60.0)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    child = f"import time; pipe = open({str(pipe)!r}, 'wb', 0); pipe.write(b'x'); time.sleep(600)"
    child = ignore + child if stubborn == "its child" else child
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    code = ignore + code if stubborn == "the command" else code
    update = asyncio.create_task(Command(python(code), tmp_path).run(C1))
    await readable(read)
    assert os.read(read, 10) == b"x"
    update.cancel()
    with pytest.raises(asyncio.CancelledError):
        await update
    await readable(read)
    assert os.read(read, 10) == b""
    os.close(read)


async def readable(descriptor: int) -> None:
    ready = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ready.set)
    async with asyncio.timeout(60):
        await ready.wait()
    loop.remove_reader(descriptor)
