from __future__ import annotations

import os

from lbproxy.process.generation.run_identity import run_of


def test_a_run_is_one_process() -> None:
    assert run_of(os.getpid()) == run_of(os.getpid())
    assert run_of(os.getpid()) != run_of(os.getppid())
