"""Randomised clients and backends: no request without an end, no answer of another, nothing that runs twice.

LBPROXY_FULL=1 makes it half a million requests. To run one again: `python -m tests.e2e.trial --seed SEED`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from signal import SIGINT

import pytest

from .surroundings import ROOT

SHORT = {"6 s": ("--seconds", "6")}
FULL = {f"{number} of 25": ("--requests", "20000") for number in range(1, 26)}
"""The options of each trial, which has a seed of its own. Each ends well before a test is taken for one that hangs."""

TRIALS = FULL if os.environ.get("LBPROXY_FULL") else SHORT


@pytest.mark.parametrize("options", TRIALS.values(), ids=TRIALS)
async def test_every_request_ends_as_it_should(options: tuple[str, ...]) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.e2e.trial", *options),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.send_signal(SIGINT)  # it ends its balancer
            await process.wait()
    print(out.decode())
    assert process.returncode == 0
