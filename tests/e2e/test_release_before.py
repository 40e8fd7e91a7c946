"""From the release before to this one, with real processes of both: an upgrade works, or is refused with the reason.

The release before is compiled for it (half a minute, once), so this runs with LBPROXY_FULL=1 only. What always runs is
in tests/process/ipc/test_release_before.py: the messages that the release before has really sent.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from signal import SIGHUP, SIGUSR2
from typing import Protocol

import pytest
import pytest_asyncio

from .balancer import Balancer, running
from .configuration import configuration, toml
from .conftest import Backends
from .crowd import Crowd, serve_posts
from .installed import Installation, release_before
from .reloads import changed, reload
from .surroundings import ROOT

pytestmark = pytest.mark.skipif(not os.environ.get("LBPROXY_FULL"), reason="it compiles the release before")


@pytest.fixture
def installation(directory: Path) -> Installation:
    """With the release before in it."""
    return Installation(directory, release_before())


class StartBefore(Protocol):
    """Starts a balancer of the release before, in front of two backends."""

    async def __call__(self, workers: int = 1) -> Balancer: ...


@pytest_asyncio.fixture(loop_scope="session")
async def before(directory: Path, backends: Backends, installation: Installation) -> AsyncIterator[StartBefore]:
    async with AsyncExitStack() as stack:

        async def start(workers: int = 1) -> Balancer:
            members = await backends(*[serve_posts] * 2)
            config = configuration(directory, [(one.name, one.url) for one in members], workers=workers)
            return await stack.enter_async_context(running(config, directory, around=installation.around))

        yield start


async def upgrade(balancer: Balancer) -> None:
    [old] = balancer.generations
    balancer.signal(SIGUSR2)
    await changed(balancer, old)


@pytest.mark.parametrize("workers", [1, 2])
async def test_an_upgrade_loses_nothing(before: StartBefore, installation: Installation, workers: int) -> None:
    balancer = await before(workers)
    async with Crowd(balancer.connect, 2, 2) as crowd:
        await reload(balancer)  # what the first generation has counted is known to the second
        assert (await balancer.admin("/backends/c1/drain", "POST")).status == 200
        installation.install(ROOT)
        await upgrade(balancer)  # the master of the release before becomes one of this
        assert (await balancer.backends())["c1"]["draining"]
        await upgrade(balancer)  # and that one becomes itself
    assert (await balancer.backends())["c1"]["draining"]
    assert (await balancer.status())["listeners"][0]["requests"] == len(crowd.answered)
    assert not [line for line in balancer.log if "state_forgotten" in line]


async def test_a_reload_after_the_files_were_replaced_works(before: StartBefore, installation: Installation) -> None:
    """The master is still of the release before, the generation is of this one."""
    balancer = await before()
    installation.install(ROOT)
    async with Crowd(balancer.connect, 2, 2):
        for _ in range(2):
            await reload(balancer)
        await upgrade(balancer)
    assert (await balancer.status())["state"] == "serving"


async def test_the_old_generation_serves_on_where_the_new_version_cannot(
    before: StartBefore, installation: Installation
) -> None:
    balancer = await before()
    [old] = balancer.generations
    installation.install(ROOT)
    good = balancer.path.read_text()
    balancer.path.write_text("workerz = 1\n" + good)
    async with Crowd(balancer.connect, 2, 2):
        balancer.signal(SIGUSR2)
        await balancer.logged("reload_failed", "workerz")
        assert balancer.generations == [old]
        assert (await balancer.status())["state"] == "serving"
        balancer.path.write_text(toml(balancer.config))
        balancer.signal(SIGHUP)
        await changed(balancer, old)
    assert (await balancer.status())["state"] == "serving"


async def test_the_way_back_is_refused_with_the_reason(before: StartBefore, installation: Installation) -> None:
    balancer = await before()
    installation.install(ROOT)
    await upgrade(balancer)
    installation.install(release_before())
    balancer.signal(SIGUSR2)
    assert "unknown role rehearse" in await balancer.logged("upgrade_refused")
    installation.install(ROOT)
    await reload(balancer)
