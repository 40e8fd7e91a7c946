"""The backends of these tests leave nothing open, whenever they are stopped."""

from __future__ import annotations

import asyncio
import socket

import pytest

from .backend import ScriptedBackend


@pytest.mark.parametrize("turns", range(4))
async def test_connections_that_are_accepted_during_a_stop_are_closed(turns: int) -> None:
    """A socket that is left open is a warning, and warnings are errors."""
    backend = ScriptedBackend("c1")
    await backend.start()
    clients = [socket.create_connection((backend.host, backend.port)) for _ in range(20)]
    for _ in range(turns):
        await asyncio.sleep(0)
    await backend.stop()
    assert not backend.open_lanes
    for client in clients:
        client.settimeout(10)
        with client, pytest.raises(ConnectionResetError):
            raise ConnectionResetError if not client.recv(1) else AssertionError
