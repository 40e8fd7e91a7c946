"""The admin API of a running balancer, asked for everything that docs/openapi.yaml allows, and much that it forbids.

Without LBPROXY_FULL=1 it is asked little, to spare the suite's time.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import yaml

from tests.ports import free_port

from .backend import serve
from .balancer import running
from .configuration import configuration
from .conftest import Backends
from .surroundings import ROOT

DESCRIPTION = ROOT / "docs" / "openapi.yaml"

FULL = os.environ.get("LBPROXY_FULL") == "1"

PHASES = ("--phases", "examples,coverage,fuzzing") if FULL else ("--phases", "examples,fuzzing", "--max-examples", "4")
BUDGET = 300.0 if FULL else 60.0
"""Seconds that it may take: then the test fails."""


async def test_the_api_keeps_what_its_description_promises(backends: Backends, directory: Path) -> None:
    [one] = await backends(serve)
    pool = {"ready_when_all_down": True}  # or /readyz rightly gets a 503, which counts as a server's fault
    config = configuration(directory, [("c1", one.url)], pool=pool)
    port = free_port()
    config["admin"] = {"bind": f"127.0.0.1:{port}"}
    async with running(config, directory) as balancer:
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "schemathesis"),
            "run",
            str(DESCRIPTION),
            *("--url", f"http://127.0.0.1:{port}"),
            *PHASES,
            *("--exclude-path", "/reload"),  # each of them is a whole new generation
            *("--exclude-path", "/leave"),  # after it, /readyz rightly gets a 503
            # POST /backends/a/drain drains a; PUT there would add a backend "drain" to the pool "a": both are allowed.
            *("--exclude-checks", "allow_header_conformance"),
            *("--seed", "1", "--generation-database", "none", "--no-color", "--warnings", "off"),
            cwd=directory,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(BUDGET):
                out, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, out.decode()
        described = yaml.safe_load(DESCRIPTION.read_text())["paths"]
        tried = [item.keys() - {"parameters"} for path, item in described.items() if path not in ("/reload", "/leave")]
        assert f"Tested: {sum(map(len, tried))}" in out.decode()
        assert (await balancer.ask()).status in (200, 502, 503, 504)  # the pool is what the run has made of it
