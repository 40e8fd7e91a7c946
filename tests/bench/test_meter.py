import os
import subprocess
import sys
import time

import pytest

from bench.errors import BenchError
from bench.load.meter import cpu_ns, ns_on_cpu, proportional, pss_bytes


def test_reads_schedstat() -> None:
    assert ns_on_cpu("2143567890 1234 567\n") == 2143567890


def test_reads_the_proportional_set_size_and_not_its_parts() -> None:
    rollup = "55d0-7ffc ---p 00000000 00:00 0    [rollup]\nRss:  9000 kB\nPss:   4321 kB\nPss_Anon:  12 kB\n"
    assert proportional(rollup) == 4321 * 1024


def test_a_file_without_pss_is_an_error() -> None:
    with pytest.raises(ValueError, match="no Pss"):
        proportional("Rss: 1 kB\n")


def test_measures_a_process() -> None:
    before = cpu_ns([os.getpid()])
    spent = time.process_time_ns()
    while time.process_time_ns() - spent < 5_000_000:
        pass
    assert cpu_ns([os.getpid()]) > before
    assert pss_bytes([os.getpid()]) > 1_000_000


def test_a_process_that_has_ended_is_an_error() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(BenchError, match=f"process {process.pid} has ended"):
        pss_bytes([process.pid])
    process.wait()
    with pytest.raises(BenchError, match=f"process {process.pid} has ended"):
        pss_bytes([process.pid])
