import os
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.load import meter
from bench.processes import LOAD_CORE, Child, allow_descriptors

PARENT = """
import os, signal
ready = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        total = sum(range(2_000_000))
        os.write(ready[1], b"x")
    signal.pause()
os.read(ready[0], 1)
print("ready", flush=True)
signal.pause()
"""
"""A parent with a child, and a grandchild that works and does not end on TERM."""


@pytest.fixture
def family(tmp_path: Path) -> Child:
    child = Child("family", [sys.executable, "-c", PARENT], LOAD_CORE, tmp_path)
    child.wait_until(lambda: b"ready" in child.output.read_bytes())
    return child


def alive(pid: int) -> bool:
    """Not when it is gone, nor when it waits for a parent to read its status."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_children_and_theirs_are_measured_too(family: Child) -> None:
    with family:
        parent, *descendants = family.pids()
        assert len(descendants) == 2
        assert meter.cpu_ns(family.pids()) >= meter.cpu_ns([descendants[1]]) > 5_000_000
        assert meter.pss_bytes(family.pids()) > meter.pss_bytes([parent])


def test_nobody_of_the_family_outlives_it(family: Child) -> None:
    pids = family.pids()
    family.stop()
    deadline = time.monotonic() + 5.0
    while any(map(alive, pids)) and time.monotonic() < deadline:  # the orphans are reaped by whoever inherits them
        os.sched_yield()
    assert not [pid for pid in pids if alive(pid)]


def test_a_program_that_does_not_start_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such thing')"]
    with (
        Child("broken", command, LOAD_CORE, tmp_path) as child,
        pytest.raises(BenchError, match=r"broken did not start .*\n.*no such thing"),
    ):
        child.wait_until(lambda: False)


@pytest.mark.parametrize(
    ("hard", "count", "least", "found"),
    [(4096, 1000, 0, 4096), (4096, 9000, 2000, 4096), (4096, 9000, 0, None), (4096, 9000, 5000, None)],
)
def test_the_limit_of_open_files_is_raised_as_far_as_it_goes(
    monkeypatch: pytest.MonkeyPatch, hard: int, count: int, least: int, found: int | None
) -> None:
    """By somebody who may not raise the hard one."""
    limits = [1024, hard]

    def setrlimit(_: int, wanted: tuple[int, int]) -> None:
        if wanted[1] > hard:
            raise PermissionError
        limits[:] = wanted

    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    if found is None:
        with pytest.raises(BenchError, match=r"9000 open files are needed and 4096 are allowed"):
            allow_descriptors(count, least)
    else:
        assert allow_descriptors(count, least) == found
        assert limits[0] == found
