from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lbproxy.process.generation.run_identity import run_of


def test_a_run_is_one_process() -> None:
    assert run_of(os.getpid()) == run_of(os.getpid())
    assert run_of(os.getpid()) != run_of(os.getppid())


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a /proc of its own")
def test_a_unit_that_hides_the_rest_of_proc_has_runs_too() -> None:
    """As ProcSubset=pid of config/systemd/lbproxy.service does."""
    program = f"from lbproxy.process.generation.run_identity import run_of; print(run_of({os.getpid()}))"
    hidden = 'mount -t proc -o subset=pid proc /proc && exec "$@"'

    def run(invocation: str) -> str:
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", hidden, "sh", sys.executable, "-c", program],
            env={**os.environ, "INVOCATION_ID": invocation},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("a") == run("a")
    assert run("a") != run("b")
