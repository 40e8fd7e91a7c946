"""LBPROXY_FULL=1 changes what is collected: that has to be sound before the long form runs."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from .surroundings import ROOT


async def test_the_long_form_of_every_test_can_be_collected() -> None:
    files = [str(path) for path in Path(__file__).parent.rglob("test_*.py") if "LBPROXY_FULL" in path.read_text()]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider", *files),
        cwd=ROOT,
        env={**os.environ, "LBPROXY_FULL": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    assert out.count(b"test_trial.py::") == 25
