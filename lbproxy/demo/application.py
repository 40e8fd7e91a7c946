"""The web application of one sample connector: the paths that a browser sees of the Auth0 AD/LDAP connector.

Every request takes the same way, in `_visited`: judge the credentials, write the journal, do the work, then answer.
JSON answers say which instance, TCP connection and user the request was taken for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from aiohttp import web

from lbproxy.demo.acceptor import Acceptor
from lbproxy.demo.identity import Connection, Connections, Gate, PeerCertificate, Verdict
from lbproxy.demo.journal import Entry, Journal, token_digest
from lbproxy.demo.options import Options
from lbproxy.demo.pages import SIGN_IN, federation_metadata

METADATA_PATH = "/wsfed/FederationMetadata/2007-06/FederationMetadata.xml"


@dataclass(frozen=True, slots=True)
class Visit:
    """One request, on its connection, after its credentials were judged."""

    request: web.Request
    connection: Connection
    certificate: PeerCertificate
    verdict: Verdict


Page = Callable[[Visit], Awaitable[web.Response]]


class Connector:
    """One instance. `address` is where it listens, as a URL; without an acceptor there is no Kerberos."""

    def __init__(self, options: Options, address: str, acceptor: Acceptor | None, journal: Journal) -> None:
        self._options = options
        self._address = address
        self._kerberos = acceptor is not None
        self._gate = Gate(acceptor, options.binds)
        self._connections = Connections()
        self._journal = journal

    def application(self) -> web.Application:
        """The routes, ready for a runner."""
        application = web.Application()
        for methods, paths, page in (
            (("GET",), (METADATA_PATH,), self._metadata),
            (("GET",), ("/healthz",), self._health),
            (("GET",), ("/logout",), self._logout),
            (("GET", "POST"), ("/wsfed", "/wsfed/direct"), self._sign_in),
            (("GET", "POST"), ("/users",), self._users),
            (("*",), ("/test-headers", "/test-iis"), self._echo),
            (("*",), ("/{other:.*}",), self._not_found),
        ):
            handler = self._visited(page)
            application.add_routes([web.route(method, path, handler) for method in methods for path in paths])
        return application

    def _visited(self, page: Page) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handler(request: web.Request) -> web.Response:
            visit = self._visit(request)
            self._journal.write(self._entry(visit))
            if self._options.work_ms:
                await asyncio.sleep(self._options.work_ms / 1000)
            verdict = visit.verdict
            if verdict.user is None and (verdict.refused or verdict.challenge):
                return self._unauthorized(verdict)
            response = await page(visit)
            if verdict.challenge:  # the mutual-authentication token
                response.headers["WWW-Authenticate"] = verdict.challenge
            return response

        return handler

    def _visit(self, request: web.Request) -> Visit:
        connection = self._connections.request_on(request.transport)
        certificate = PeerCertificate.of(request.get_extra_info("peercert"))
        verdict = self._gate.judge(connection, request.headers.get("Authorization"), certificate.name)
        return Visit(request, connection, certificate, verdict)

    def _entry(self, visit: Visit) -> Entry:
        request = visit.request
        return Entry(
            method=request.method,
            path=request.path_qs,
            id=request.headers.get("X-Request-ID"),
            token=token_digest(request.headers.get("Authorization")),
            user=visit.verdict.user,
            instance=self._options.name,
            connection=visit.connection.number,
            request=visit.connection.requests,
        )

    def _unauthorized(self, verdict: Verdict) -> web.Response:
        answer = {"error": verdict.refused or "sign in", "instance": self._options.name}
        response = web.json_response(answer, status=401)
        if verdict.challenge:  # in mid-exchange: only the mechanism that has begun goes on
            response.headers["WWW-Authenticate"] = verdict.challenge
            return response
        response.headers.add("WWW-Authenticate", "Negotiate")
        if self._options.offer_ntlm:  # two lines, as Windows sends them; a balancer must not join them
            response.headers.add("WWW-Authenticate", "NTLM")
        return response

    async def _sign_in(self, visit: Visit) -> web.Response:
        if visit.verdict.user is not None:
            return web.json_response(await self._facts(visit))
        if self._kerberos:
            return self._unauthorized(visit.verdict)
        if visit.request.method == "POST":  # there is no directory behind the form: every user is unknown
            return web.Response(status=302, headers={"Location": "/wsfed?error=unknown_user"})
        return web.Response(text=SIGN_IN, content_type="text/html")

    async def _users(self, visit: Visit) -> web.Response:
        if self._kerberos and visit.verdict.user is None:
            return self._unauthorized(visit.verdict)
        return web.json_response(await self._facts(visit))

    async def _echo(self, visit: Visit) -> web.Response:
        facts = await self._facts(visit)
        return web.json_response({**facts, "headers": [*visit.request.headers.items()]})

    async def _health(self, visit: Visit) -> web.Response:
        options = self._options
        identity = {"instance": options.name, "version": options.version, "connectorId": options.connector_id}
        return web.json_response({"status": "ok", **identity})

    async def _logout(self, visit: Visit) -> web.Response:
        """Like the real one, an instance that was not told SERVER_URL publishes its own address."""
        return web.Response(status=302, headers={"Location": f"{self._options.server_url or self._address}/wsfed"})

    async def _metadata(self, visit: Visit) -> web.Response:
        headers = visit.request.headers
        scheme = headers.get("X-Forwarded-Proto", visit.request.scheme)
        forwarded = f"{scheme}://{headers['X-Forwarded-Host']}" if "X-Forwarded-Host" in headers else None
        address = forwarded or self._options.server_url or f"{scheme}://{visit.request.host}"
        return web.Response(
            text=federation_metadata(address, self._options.connector_id), content_type="application/xml"
        )

    async def _not_found(self, visit: Visit) -> web.Response:
        return web.json_response({"error": "no such page", "instance": self._options.name}, status=404)

    async def _facts(self, visit: Visit) -> dict[str, Any]:
        """What this instance took the request for, its body read to the end."""
        request = visit.request
        length, digest = await _measured(request)
        return {
            "user": visit.verdict.user,
            "instance": self._options.name,
            "how": visit.verdict.how,
            "connection": visit.connection.number,
            "request": visit.connection.requests,
            "peer_port": request.get_extra_info("peername")[1],
            "certificate": visit.certificate.name,
            "certificate_issuer": visit.certificate.issuer,
            "certificate_ends": visit.certificate.ends,
            "method": request.method,
            "path": request.path_qs,
            "body_length": length,
            "body_sha256": digest,
        }


async def _measured(request: web.Request) -> tuple[int, str]:
    """The length and the SHA-256 in hex of a body of any size."""
    length, digest = 0, sha256()
    async for chunk in request.content.iter_any():
        length += len(chunk)
        digest.update(chunk)
    return length, digest.hexdigest()
