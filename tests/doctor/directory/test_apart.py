from __future__ import annotations

import os
import socket
import time

import pytest

from lbproxy.doctor.directory.apart import apart
from lbproxy.doctor.directory.errors import DirectoryError
from lbproxy.doctor.directory.questions import finds_users


async def test_what_it_returns_and_its_environment() -> None:
    assert await apart(60, {"LBPROXY_X": "here"}, os.getenv, "LBPROXY_X") == "here"
    assert await apart(60, {}, os.getenv, "LBPROXY_X") is None


async def test_what_it_raises(unused_tcp_port: int) -> None:
    url = f"ldap://127.0.0.1:{unused_tcp_port}"
    with pytest.raises(DirectoryError, match=r"(?i)can't contact"):
        await apart(60, {}, finds_users, url, "a", "b", "", "", "", "")


async def test_one_that_crashes_is_told() -> None:
    with pytest.raises(DirectoryError, match="ended with status 1"):
        await apart(60, {}, int, "no number")


async def test_one_that_hangs_is_killed() -> None:
    with pytest.raises(DirectoryError, match=r"no answer within 0\.2 s"):
        await apart(0.2, {}, time.sleep, 3600)


async def test_a_handshake_that_never_ends_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ldaps://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(DirectoryError, match="no answer within 1 s"):
            await apart(1, {}, finds_users, url, "a", "b", "", "", "", "")
