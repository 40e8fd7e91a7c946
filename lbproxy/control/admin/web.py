"""What the routes of the admin interface are written in: requests, answers, and which route is meant.

They are few and small, and the parser of users' requests reads their heads. A framework for the web took a quarter of
the start of a balancer, and 8 MB of its memory for good.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

from lbproxy.errors import AdminError

TEXT = "text/plain; charset=utf-8"
JSON = "application/json; charset=utf-8"


@dataclass(slots=True)
class Request:
    """`path` is as it was sent, `query` has the first value of each name, `headers` are by their names in lower case.

    `sock` is the connection's. `match_info` has what stands for the names in the route's path.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    sock: socket.socket | None = None
    match_info: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, method: str, target: str, headers: Mapping[str, str], body: bytes, sock: socket.socket) -> Request:
        """target: as in the request line, in origin-form or absolute-form (RFC 9112 section 3.2)."""
        _, scheme, rest = target.partition("://")
        if scheme and not target.startswith("/"):
            target = f"/{rest.partition('/')[2]}"
        path, _, query = target.partition("?")
        pairs = reversed(parse_qsl(query, keep_blank_values=True))
        return cls(method, path, dict(pairs), headers, body, sock)


class Response:
    """An answer; `headers` has what is not told by its body."""

    def __init__(
        self, status: int = 200, text: str = "", body: bytes | None = None, content_type: str = TEXT, allow: str = ""
    ) -> None:
        """body: instead of `text`. allow: the methods that there are, where another one was asked for."""
        self.status = status
        self.body = text.encode() if body is None else body
        self.content_type = content_type
        self.allow = allow

    def __repr__(self) -> str:
        return f"<Response {self.status}, {len(self.body)} bytes>"

    def encoded(self, date: str, to_head: bool = False, last: bool = False) -> bytes:
        """As it is sent. to_head: without its body (RFC 9110 section 9.3.2). last: the connection closes after it."""
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}", f"Date: {date}"]
        if self.status != HTTPStatus.NO_CONTENT:
            lines += [f"Content-Type: {self.content_type}", f"Content-Length: {len(self.body)}"]
        if self.allow:
            lines.append(f"Allow: {self.allow}")
        if last:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        return head if to_head else head + self.body


def json_response(found: object) -> Response:
    """`found` as JSON."""
    return Response(body=json.dumps(found).encode(), content_type=JSON)


class Refusal(Exception):
    """A request is answered with this instead of what its route would say."""

    def __init__(self, status: int, text: str, allow: str = "") -> None:
        super().__init__(text)
        self.response = Response(status, text, allow=allow)


Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """path: `{name}` stands for one segment that is not empty."""

    method: str
    path: str
    handler: Handler

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """What stands for the names in the path; None: another path is asked for."""
        own = self.path.split("/")
        if len(own) != len(segments):
            return None
        found = {}
        for mine, theirs in zip(own, segments, strict=True):
            if mine.startswith("{") and theirs:
                found[mine[1:-1]] = unquote(theirs)
            elif mine != theirs:
                return None
        return found


def get(path: str, handler: Handler) -> Route:
    """HEAD is answered too, without the body."""
    return Route("GET", path, handler)


def post(path: str, handler: Handler) -> Route:
    return Route("POST", path, handler)


def put(path: str, handler: Handler) -> Route:
    return Route("PUT", path, handler)


def patch(path: str, handler: Handler) -> Route:
    return Route("PATCH", path, handler)


def delete(path: str, handler: Handler) -> Route:
    return Route("DELETE", path, handler)


async def answer(routes: Iterable[Route], request: Request) -> Response:
    """The answer of the first route that fits; what cannot be done, AdminError, is 409 and its sentence.

    Raises Refusal: 404, or 405 with the methods of the path.
    """
    segments = request.path.split("/")
    wanted = "GET" if request.method == "HEAD" else request.method
    others: set[str] = set()
    for route in routes:
        found = route.match(segments)
        if found is None:
            continue
        if route.method == wanted:
            request.match_info = found
            return await _handled(route, request)
        others |= {route.method, "HEAD"} if route.method == "GET" else {route.method}
    if others:
        raise Refusal(405, f"{request.method}: not a method of this path\n", ", ".join(sorted(others)))
    raise Refusal(404, "there is no such path\n")


async def _handled(route: Route, request: Request) -> Response:
    try:
        return await route.handler(request)
    except AdminError as error:
        raise Refusal(409, f"{error}\n") from None
