"""The processes of a connector on this host, as /proc tells of them (proc(5))."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Process(NamedTuple):
    """`environment` is None if only its owner and root may read it."""

    pid: int
    cwd: Path
    environment: Mapping[str, str] | None


def running(directory: Path, main: str) -> list[Process]:
    """Those that run the program `main` of a directory, whatever interprets it. Without /proc, none."""
    script = directory.resolve() / main
    found = []
    for pid in sorted(int(path.name) for path in PROC.glob("[0-9]*")):
        try:
            cwd = (PROC / str(pid) / "cwd").readlink()
            words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it has ended, or is another user's
            continue
        if any(_is(word, cwd, script) for word in words[:4]):
            found.append(Process(pid, cwd, _environment(pid)))
    return found


def told_of(pid: int, name: str) -> bytes | None:
    """What the file `name` of a process says; None: the process has ended, or is another user's."""
    try:
        return (PROC / str(pid) / name).read_bytes()
    except OSError:
        return None


def _is(word: bytes, cwd: Path, script: Path) -> bool:
    text = os.fsdecode(word)
    return os.path.basename(text) == script.name and Path(os.path.normpath(cwd / text)) == script  # noqa: PTH119


def _environment(pid: int) -> dict[str, str] | None:
    content = told_of(pid, "environ")
    pairs = (os.fsdecode(entry).partition("=") for entry in (content or b"").split(b"\0") if entry)
    return None if content is None else {name: value for name, _, value in pairs}
