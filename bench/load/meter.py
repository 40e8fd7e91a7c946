"""What the kernel says of a proxy's processes: time on a CPU, and memory.

CPU time comes from schedstat, which counts nanoseconds; utime and stime of /proc/PID/stat are sampled at each tick and
may be wrong by as much as a round is long when a process sleeps between ticks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from bench.errors import BenchError

_PSS = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)


def cpu_ns(pids: Iterable[int]) -> int:
    """Nanoseconds that all threads of all `pids` have spent on a CPU, in user space and in the kernel."""
    return sum(ns_on_cpu(path.read_text()) for pid in pids for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def pss_bytes(pids: Iterable[int]) -> int:
    """The proportional set size of all `pids`: memory shared between them counts once. BenchError if one has ended."""
    return sum(map(_pss_of, pids))


def _pss_of(pid: int) -> int:
    try:
        return proportional(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except (FileNotFoundError, ProcessLookupError) as error:  # ProcessLookupError: nobody has waited for it yet
        raise BenchError(f"process {pid} has ended while it was measured") from error


def ns_on_cpu(schedstat: str) -> int:
    """The first field of a schedstat file (Documentation/scheduler/sched-stats.rst)."""
    return int(schedstat.split()[0])


def proportional(smaps_rollup: str) -> int:
    """Pss of a smaps_rollup file (proc_pid_smaps(5)), in bytes."""
    match = _PSS.search(smaps_rollup)
    if match is None:
        raise ValueError("no Pss line in smaps_rollup")
    return int(match[1]) * 1024
