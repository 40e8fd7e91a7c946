"""The whole suite runs in several processes, a part of it in one."""

from __future__ import annotations

import os

import pytest

PER_CPU = 2
"""Many tests wait for other processes, which run beside them."""


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist, which who runs one test needs not
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """What `--numprocesses auto` of `make test` means; 0 is this process alone.

    Each process collects the whole suite before it runs its first test: a part of it is done by then.
    """
    part = config.args_source is not pytest.Config.ArgsSource.TESTPATHS
    chosen = any(config.getoption(name) for name in ("keyword", "markexpr", "lf", "usepdb"))
    return 0 if part or chosen else PER_CPU * len(os.sched_getaffinity(0))
