"""What Prometheus makes of a balancer that really has the faults: the alerts in config/, and the dashboard."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from lbproxy.control.metrics.table import TABLE
from tests.ports import free_port
from tests.prometheus import needs_prometheus, scraping
from tools.grafana import queries

from .balancer import Balancer
from .test_admin import metrics
from .test_prometheus import CASES, fires
from .troubles import Troubled, troubled

FROM_THE_START = ("LbproxyKerberosTrouble", "LbproxyFleetUnreachable")

ELSEWHERE = {"LbproxyLogDropped"}
"""tests/e2e/test_log_receivers.py: this balancer's log is needed to see what it notices."""

AGES = ("lbproxy_discovery_stale_seconds", "lbproxy_fleet_unreachable_seconds")
"""Gauges that grow by one a second for as long as a fault is there."""

COUNTERS = {row.name for row in TABLE if row.kind == "counter"}

pytestmark = needs_prometheus

NAME = re.compile(r"\w+")
VARIABLE = re.compile(r'"\$\w+"')


SELDOM = (
    "lbproxy_backend_binds",
    "lbproxy_backend_held_seconds",
    "lbproxy_backend_tls_handshakes_total",
    "lbproxy_backends_refused",
    "lbproxy_refused_total",
)
"""What this balancer has no samples of."""

Samples = dict[str, float]


async def scrape(balancer: Balancer) -> Samples:
    found = await metrics(balancer)
    return {name: value for name, value in found.items() if name.startswith("lbproxy_") and "_bucket" not in name}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Troubled, Samples, Samples]]:
    """The balancer in trouble, and its metrics before most of it and after all of it."""
    directory = Path(tempfile.mkdtemp(prefix="lbp-"))
    async with troubled(directory, tmp_path_factory.mktemp("realm")) as place:
        before = await scrape(place.balancer)
        await place.begin()
        yield place, before, await scrape(place.balancer)
    shutil.rmtree(directory)


def as_it_goes_on(before: Samples, now: Samples) -> dict[str, str]:
    """40 minutes, a sample each: what was counted between the two scrapes is counted each minute, all else stays."""
    series = {}
    for sample, value in now.items():
        match = NAME.match(sample)
        assert match
        growth = value - before.get(sample, 0.0) if match[0] in COUNTERS else 0.0
        if match[0] in AGES and value:
            growth = 60.0
        series[sample] = f"{value!r}+{growth!r}x40"
    return series


async def test_each_fault_fires_its_alert(place: tuple[Troubled, Samples, Samples], tmp_path: Path) -> None:
    _, before, after = place
    fires(tmp_path, as_it_goes_on(before, before), *FROM_THE_START)
    fires(tmp_path, as_it_goes_on(before, after), *(CASES.keys() - ELSEWHERE))


async def test_queries_of_the_dashboard_have_samples(place: tuple[Troubled, Samples, Samples], tmp_path: Path) -> None:
    async with scraping(tmp_path, f"127.0.0.1:{free_port()}", place[0].metrics) as prometheus:
        await prometheus.until("count_over_time(lbproxy_info[1m]) >= 3")
        asked = {query: VARIABLE.sub('".*"', query.replace("$__rate_interval", "1m")) for query in queries()}
        for query, text in asked.items():
            if any(f"{name}{{" in query for name in SELDOM):
                await prometheus.ask(text)
            else:
                await prometheus.until(text)
