"""That a proxy does its whole work, asked before it is measured: a fast wrong answer is no result."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from bench.errors import BenchError
from bench.heads import HOST, negotiate
from bench.load import backends
from bench.load.site import Site

_TURNS = 4  # enough for each backend to be met often, and again on a kept connection
_LOG_WAIT = 2.0  # seconds that a log may take to reach its file
_LOG_TICK = 0.1


def verify(site: Site) -> str:
    """Check the proxy at `site`: every request of one kept client connection is answered as the scenario expects;
    the backends take turns; upstream connections are kept; what has to be passed on or set arrives; a log is written.
    Of a proxy that passes connections on: each is answered, and the backends take turns.

    Returns the TLS version and cipher, "" without TLS. Raises BenchError with the first thing that is wrong.
    """
    requests = _TURNS * len(site.backends)
    try:
        tls = _verify_connections(site, requests) if site.scenario.tcp else _verify_requests(site, requests)
    except (OSError, http.client.HTTPException) as error:
        raise BenchError(f"{site.name}: {site.scenario.name}: {error!r}") from error
    if site.scenario.access_log:
        check_log(site, requests)
    return tls


def check_log(site: Site, requests: int) -> None:
    """Wait until the access log has a line for each of `requests`; BenchError when it gets none for some."""
    deadline = time.monotonic() + _LOG_WAIT
    while (lines := site.log.read_bytes().count(b"\n")) < requests:
        if time.monotonic() > deadline:
            raise BenchError(f"{site.name}: {site.scenario.name}: {lines} lines in the log for {requests} requests")
        time.sleep(_LOG_TICK)


def client_context(user: Path | None = None) -> ssl.SSLContext:
    """For a client that believes every certificate: what is measured is the other side. `user` is its own one."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if user:
        context.load_cert_chain(user)
    return context


def context_of(site: Site) -> ssl.SSLContext:
    """For the clients of `site`."""
    return client_context(site.certificate.user if site.scenario.client_certificate else None)


def _verify_requests(site: Site, count: int) -> str:
    with closing(connect(site)) as connection:
        tls = _cipher(connection.sock)
        seen = [_seen(site, connection) for _ in range(count)]
        for request in seen:
            _check_head(site, request)
        _check_turns(site, seen)
        if site.keeps_apart:
            _check_apart(site, seen, count)
        else:
            _expect(site, "upstream connections kept", any(int(request["requests"]) > 1 for request in seen), True)
        _check_answer(site, connection)
    return tls


def _check_apart(site: Site, seen: list[dict[str, str]], count: int) -> None:
    """Another client, while the first one is there, meets none of the backend connections that the first one had."""
    with closing(connect(site)) as other:
        shared = {one["connection"] for one in seen} & {_seen(site, other)["connection"] for _ in range(count)}
    _expect(site, "backend connections of two clients", shared, set())


def _verify_connections(site: Site, count: int) -> str:
    seen = []
    for _ in range(count):
        with closing(connect(site)) as connection:
            seen.append(_seen(site, connection))
            _check_answer(site, connection)
    _check_turns(site, seen)
    return ""


def connect(site: Site) -> http.client.HTTPConnection:
    """A client connection, over TLS where the scenario has it."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
    connection.connect()
    if site.scenario.tls:
        connection.sock = context_of(site).wrap_socket(connection.sock, server_hostname=HOST)
    connection.auto_open = 0  # a client connection that is not kept must not go unnoticed
    return connection


def _cipher(sock: socket.socket) -> str:
    if not isinstance(sock, ssl.SSLSocket):
        return ""
    return f"{sock.version()} {(sock.cipher() or ('none',))[0]}"


def _ask(site: Site, connection: http.client.HTTPConnection, path: str) -> bytes:
    connection.request(site.scenario.method, path, site.scenario.body or None, dict(_headers(site)))
    response = connection.getresponse()
    answer = response.read()
    _expect(site, f"status of {path}", response.status, 200)
    return answer


def _seen(site: Site, connection: http.client.HTTPConnection) -> dict[str, str]:
    lines = _ask(site, connection, "/seen").decode().splitlines()
    return dict(line.split("=", 1) for line in lines)


def _check_head(site: Site, request: dict[str, str]) -> None:
    _expect(site, "Host", request["host"], HOST)
    _expect(site, "X-Forwarded-For", request["forwarded_for"], "127.0.0.1")
    _expect(site, "X-Forwarded-Proto", request["forwarded_proto"], site.scheme)
    _expect(site, "Authorization", request["authorization"], _headers(site).get("Authorization", ""))


def _headers(site: Site) -> Mapping[str, str]:
    row = site.scenario
    return {**row.headers, "Authorization": negotiate()} if row.tokens else row.headers


def _check_turns(site: Site, seen: list[dict[str, str]]) -> None:
    _expect(site, "backends met", sorted({int(request["backend"]) for request in seen}), sorted(site.backends))


def _check_answer(site: Site, connection: http.client.HTTPConnection) -> None:
    answer = _ask(site, connection, site.scenario.path)
    if answer != backends.body(site.scenario.answer):
        raise BenchError(f"{site.name}: {site.scenario.name}: a wrong body of {len(answer)} bytes")


def _expect(site: Site, what: str, found: object, wanted: object) -> None:
    if found != wanted:
        difference = f"{str(found)[:80]!r} instead of {str(wanted)[:80]!r}"
        raise BenchError(f"{site.name}: {site.scenario.name}: {what}: {difference}")
