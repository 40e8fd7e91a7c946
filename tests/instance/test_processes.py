"""The processes of a connector, found as /proc has them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lbproxy.instance.processes import running


@contextmanager
def started(words: list[str], cwd: Path, environment: dict[str, str] | None = None) -> Iterator[int]:
    """A process that says when it runs, and ends when its input does."""
    with subprocess.Popen(
        [sys.executable, *words], cwd=cwd, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"runs\n"
        yield process.pid
        process.communicate()


def program(directory: Path) -> Path:
    directory.mkdir()
    path = directory / "server.js"
    path.write_text("import sys\nprint('runs', flush=True)\nsys.stdin.read()\n")
    return path


def test_is_found_by_what_it_runs(tmp_path: Path) -> None:
    path, other = program(tmp_path / "a"), program(tmp_path / "b")
    with (
        started([str(path)], tmp_path) as elsewhere,
        started(["./server.js"], tmp_path / "a") as there,
        started([str(other)], tmp_path / "a"),
    ):
        found = running(tmp_path / "a", "server.js")
    assert {(one.pid, one.cwd) for one in found} == {
        (elsewhere, tmp_path.resolve()),
        (there, (tmp_path / "a").resolve()),
    }
    assert running(tmp_path / "a", "server.js") == []


def test_has_its_environment(tmp_path: Path) -> None:
    path = program(tmp_path / "a")
    with started([str(path)], tmp_path, {"SERVER_URL": "https://a=b"}):
        (found,) = running(tmp_path / "a", "server.js")
    assert found.environment is not None
    assert found.environment["SERVER_URL"] == "https://a=b"
