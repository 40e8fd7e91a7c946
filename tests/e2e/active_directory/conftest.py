"""The connectors that sign in the directory's users.

place        their files
connectors   c1, c2 and c3: each has the keytab of the account that has the SPN
balancer     in front of them, with TLS, and with a kerberos check
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.active_directory import Domain, needs_domain

from ..balancer import Balancer, running
from ..client import HOST
from ..configuration import configuration
from ..direct_auth.apache import apache
from ..direct_auth.place import SERVICE, Place
from ..instance import Instance
from ..surroundings import Surroundings
from ..tls import Authority
from .causes import Probe

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE):
            for mark in needs_domain:
                item.add_marker(mark)


@pytest.fixture(scope="session")
def place(active_directory: Domain) -> Iterator[Place]:
    """Apache runs as another user than root, so that the folder is open."""
    active_directory.add("svc-login", spns=[SERVICE])
    folder = Path(tempfile.mkdtemp(prefix="lbp-"))
    yield Place.prepare(folder, active_directory.configuration, active_directory.keytab(SERVICE), {})
    shutil.rmtree(folder)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def connectors(place: Place) -> AsyncIterator[list[Instance]]:
    async with started(*(apache(name, place, bound=True) for name in ("c1", "c2", "c3"))) as instances:
        yield instances


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def balancer(
    active_directory: Domain, connectors: list[Instance], authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Balancer]:
    folder = tmp_path_factory.mktemp("balancer")
    principal = active_directory.add("svc-probe")
    check = Probe(principal, active_directory.keytab("svc-probe"), SERVICE, Path()).check()
    config = configuration(
        folder,
        [(one.name, one.url) for one in connectors],
        pool={"check": check},
        certificate=authority.write(folder, HOST),
    )
    authority.write_ca(folder / "ca.pem")
    around = Surroundings(environment={"KRB5_CONFIG": str(active_directory.configuration)})
    async with running(config, folder, authority.client_context(), around) as balancer:
        await balancer.until(lambda status: all(one["state"] == "up" for one in status["pools"][0]["backends"]))
        yield balancer


@asynccontextmanager
async def started(*instances: Instance) -> AsyncIterator[list[Instance]]:
    """They run within the block."""
    try:
        async with asyncio.TaskGroup() as group:
            for instance in instances:
                group.create_task(instance.start())
        yield list(instances)
    finally:
        for instance in instances:
            await instance.kill()
            print(instance, instance.last_words)  # pytest shows it beside a failure only
