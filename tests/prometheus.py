"""A real Prometheus, and promtool: Debian's package prometheus."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

needs_prometheus = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="prometheus is not installed: tools/prepare debian full"
)

_READY_WITHIN = 60.0


def promtool(*arguments: str) -> str:
    """What it prints; the test fails with that if promtool does not like what it is given."""
    done = subprocess.run(("promtool", *arguments), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Prometheus:
    """One that runs: what it has of the targets that it scrapes twice a second."""

    def __init__(self, address: str, session: aiohttp.ClientSession) -> None:
        self._url = f"http://{address}/api/v1/query"
        self._exemplars = f"http://{address}/api/v1/query_exemplars"
        self._session = session

    async def ask(self, query: str) -> list[dict[str, Any]]:
        """The samples that a query has now; the test fails if Prometheus refuses the query."""
        async with self._session.get(self._url, params={"query": query}) as response:
            answer = json.loads(await response.read())
        assert answer["status"] == "success", (query, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    async def exemplars(self, query: str) -> list[dict[str, Any]]:
        """Those of the last hour: which series, and the exemplars of each."""
        now = time.time()
        asked = {"query": query, "start": str(now - 3600), "end": str(now + 3600)}
        async with self._session.get(self._exemplars, params=asked) as response:
            answer = json.loads(await response.read())
        assert answer["status"] == "success", (query, answer)
        found: list[dict[str, Any]] = answer["data"]
        return found

    async def until(self, query: str) -> None:
        """Wait until the query has a sample: after a scrape that was too slow, none has one until the next."""
        try:
            async with asyncio.timeout(_READY_WITHIN):
                while not await self.ask(query):  # noqa: ASYNC110  # Prometheus tells nobody
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"no sample: {query}") from None


@asynccontextmanager
async def scraping(directory: Path, address: str, *targets: str) -> AsyncIterator[Prometheus]:
    """A Prometheus at `address` (host:port) that keeps what it has below `directory`."""
    scrape = {"job_name": "lbproxy", "static_configs": [{"targets": list(targets)}]}
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump({"global": {"scrape_interval": "500ms"}, "scrape_configs": [scrape]}))
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={path}",
        f"--storage.tsdb.path={directory / 'prometheus'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
        "--enable-feature=exemplar-storage",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with aiohttp.ClientSession() as session:
            await _ready(process, f"http://{address}/-/ready", session)
            yield Prometheus(address, session)
    finally:
        if process.returncode is None:
            process.terminate()
        _, said = await process.communicate()
        print(said.decode())  # pytest shows it beside a failure only


async def _ready(process: asyncio.subprocess.Process, url: str, session: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(_READY_WITHIN):
        while True:
            assert process.returncode is None, "prometheus ended instead of getting ready"
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)
