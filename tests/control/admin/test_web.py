"""Requests, answers, and which route is meant."""

from __future__ import annotations

import socket

import pytest

from lbproxy.control.admin import web
from lbproxy.errors import AdminError

DATE = "Mon, 30 Nov 2026 12:00:00 GMT"


def asked(method: str, target: str) -> web.Request:
    with socket.socket() as sock:
        return web.Request.of(method, target, {}, b"", sock)


async def shown(request: web.Request) -> web.Response:
    return web.Response(text=f"{request.method} {dict(request.match_info)}")


ROUTES = [
    web.get("/status", shown),
    web.post("/backends/{name}/drain", shown),
    web.get("/backends/{name}", shown),
    web.get("/backends/{pool}/{name}", shown),
    web.put("/backends/{pool}/{name}", shown),
    web.patch("/backends/{pool}/{name}", shown),
    web.delete("/backends/{pool}/{name}", shown),
]


@pytest.mark.parametrize(
    ("method", "target", "text"),
    [
        ("GET", "/status", "GET {}"),
        ("HEAD", "/status", "HEAD {}"),
        ("GET", "/status?a=1", "GET {}"),
        ("GET", "http://localhost/status", "GET {}"),
        ("POST", "/backends/c1/drain", "POST {'name': 'c1'}"),
        ("GET", "/backends/c1/drain", "GET {'pool': 'c1', 'name': 'drain'}"),
        ("DELETE", "/backends/a/c1", "DELETE {'pool': 'a', 'name': 'c1'}"),
        ("GET", "/backends/a%2Fb%20%C3%A4", "GET {'name': 'a/b ä'}"),
    ],
)
async def test_the_route_is_found(method: str, target: str, text: str) -> None:
    response = await web.answer(ROUTES, asked(method, target))
    assert (response.status, response.body.decode()) == (200, text)


@pytest.mark.parametrize(
    ("method", "target", "status", "allow"),
    [
        ("GET", "/", 404, ""),
        ("GET", "/status/", 404, ""),
        ("GET", "/backends/", 404, ""),
        ("GET", "/backends/a/b/c", 404, ""),
        ("POST", "/status", 405, "GET, HEAD"),
        ("POST", "/backends/a/b", 405, "DELETE, GET, HEAD, PATCH, PUT"),
        ("get", "/status", 405, "GET, HEAD"),
    ],
)
async def test_what_is_not_there_is_refused(method: str, target: str, status: int, allow: str) -> None:
    with pytest.raises(web.Refusal) as refused:
        await web.answer(ROUTES, asked(method, target))
    assert (refused.value.response.status, refused.value.response.allow) == (status, allow)


def test_of_two_parameters_the_first_counts() -> None:
    request = asked("GET", "/x?a=1&b=&a=2&c=%26&d")
    assert (request.path, request.query) == ("/x", {"a": "1", "b": "", "c": "&", "d": ""})


def test_an_answer_is_encoded() -> None:
    encoded = web.json_response({"a": "ä"}).encoded(DATE)
    head, _, body = encoded.partition(b"\r\n\r\n")
    assert body == b'{"a": "\\u00e4"}'
    assert head.decode().split("\r\n") == [
        "HTTP/1.1 200 OK",
        f"Date: {DATE}",
        "Content-Type: application/json; charset=utf-8",
        "Content-Length: 15",
    ]


def test_the_answer_to_head_has_no_body() -> None:
    assert web.Response(text="ok\n").encoded(DATE, to_head=True).endswith(b"Content-Length: 3\r\n\r\n")


def test_204_has_no_length() -> None:
    """RFC 9110 section 8.6."""
    assert web.Response(204).encoded(DATE, last=True).decode().split("\r\n") == [
        "HTTP/1.1 204 No Content",
        f"Date: {DATE}",
        "Connection: close",
        "",
        "",
    ]


def test_405_tells_what_is_allowed() -> None:
    assert b"\r\nAllow: GET\r\n" in web.Refusal(405, "no\n", "GET").response.encoded(DATE)


async def test_what_cannot_be_done_is_a_conflict_with_its_sentence() -> None:
    async def cannot(_: web.Request) -> web.Response:
        raise AdminError("c1 is the only one in rotation")

    with pytest.raises(web.Refusal) as refused:
        await web.answer([web.post("/backends/{name}/drain", cannot)], asked("POST", "/backends/c1/drain"))
    assert refused.value.response.status == 409
    assert refused.value.response.body == b"c1 is the only one in rotation\n"
