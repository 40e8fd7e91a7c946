from __future__ import annotations

import pytest

from lbproxy.control.admin.guard import is_local, refuse_foreign
from lbproxy.control.admin.web import Refusal, Request
from tests.control.admin.serving import serving


@pytest.mark.parametrize(
    "authority", ["127.0.0.1:9000", "127.1.2.3:9000", "localhost:9000", "LOCALHOST:9000", "[::1]:9000"]
)
def test_loopback_with_the_port_is_local(authority: str) -> None:
    assert is_local(authority, 9000)


@pytest.mark.parametrize(
    "authority",
    [
        "",
        "127.0.0.1",
        "127.0.0.1:9001",
        "rebound.example:9000",
        "localhost.example:9000",
        "127.0.0.1.example:9000",
        "10.0.0.1:9000",
        "0.0.0.0:9000",
        "[::]:9000",
        "[::1:9000",
        "127.0.0.1:9000/x",
        "x@127.0.0.1:9000",
        "127.0.0.1:9000#x",
        "127.0.0.1:x",
        ":9000",
        "null",
    ],
)
def test_everything_else_is_not(authority: str) -> None:
    assert not is_local(authority, 9000)


def test_port_80_need_not_be_written() -> None:
    assert is_local("127.0.0.1", 80)


async def test_a_path_that_does_not_exist_is_guarded_too() -> None:
    async with serving([]) as client:
        assert (await client.get("/missing", headers={"Host": "rebound.example"})).status == 403
        assert (await client.get("/missing")).status == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost"}, 200),
        ({"Host": "rebound.example"}, 403),
        ({"Host": "localhost", "Origin": "http://localhost"}, 200),
        ({"Host": "localhost", "Origin": "http://127.0.0.1:80"}, 200),
        ({"Host": "localhost", "Origin": "https://evil.example"}, 403),
        ({"Host": "localhost", "Origin": "http://localhost:8080"}, 403),
        ({"Host": "localhost", "Origin": "https://localhost"}, 403),
        ({"Host": "localhost", "Origin": "null"}, 403),
        ({}, 403),
    ],
)
def test_requests(headers: dict[str, str], status: int) -> None:
    """At port 80."""
    request = Request("GET", "/", headers={name.lower(): value for name, value in headers.items()})
    if status == 200:
        refuse_foreign(request, 80)
    else:
        with pytest.raises(Refusal) as refused:
            refuse_foreign(request, 80)
        assert refused.value.response.status == status
