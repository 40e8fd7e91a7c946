from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lbproxy.control.kubernetes import Api, PodAccount
from tests.control.kubernetes.api_server import ApiServer


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ApiServer]:
    folder = tmp_path / "server"
    folder.mkdir()
    async with ApiServer(folder) as server:
        yield server


@pytest.fixture
def mounted(tmp_path: Path, server: ApiServer) -> Path:
    """Where the pod's account is."""
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    server.mount(folder)
    return folder


@pytest.fixture
def account(mounted: Path, server: ApiServer) -> PodAccount:
    return PodAccount(mounted, server.mount(mounted))


@pytest.fixture
async def api(account: PodAccount) -> AsyncIterator[Api]:
    api = Api(account)
    yield api
    await api.close()
