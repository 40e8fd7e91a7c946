from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from lbproxy.control.etcd import Access, Etcd


@pytest.fixture
def fleet_name() -> str:
    """Of the fleet of one test."""
    return uuid4().hex


@pytest.fixture
async def etcd(etcd_url: str) -> AsyncIterator[Etcd]:
    """A client of the server that all tests share."""
    client = Etcd(Access((etcd_url,)))
    yield client
    await client.close()
