"""Linux perf: records where threads are, many times a second."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import BenchError
from bench.processes import LOAD_CORE, pinned
from bench.profile.samples import FIELDS, Sample, samples

PER_SECOND = 1999  # samples of each thread that runs; not a round number, so as not to keep step with timers


@contextmanager
def recording(pids: Collection[int], path: Path) -> Iterator[None]:
    """Record all threads of `pids` into the file at `path`, until the block ends. BenchError when perf cannot."""
    of = ",".join(map(str, pids))
    command = ["perf", "record", "-q", "-g", "-F", str(PER_SECOND), "-p", of, "-o", str(path)]
    process = subprocess.Popen(
        pinned(LOAD_CORE, command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        yield
    finally:
        process.terminate()
        said = process.communicate()[0].decode(errors="replace")
    if not path.exists():
        raise BenchError(
            f"perf could not record:\n{said}\n"
            "Be root, or allow it to every user: sysctl kernel.perf_event_paranoid=1 kernel.kptr_restrict=0"
        )


def read(path: Path) -> list[Sample]:
    """What was recorded. BenchError when perf cannot read it."""
    done = subprocess.run(
        ["perf", "script", "-i", str(path), "--no-inline", "-F", FIELDS], capture_output=True, text=True, check=False
    )
    found = list(samples(done.stdout.splitlines()))
    if not found:
        raise BenchError(f"perf recorded nothing: {done.stderr}")
    return found
