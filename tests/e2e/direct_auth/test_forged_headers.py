"""Identities that a client makes up never reach a backend, however they are spelled; nor does lbproxy's own suffer."""

from __future__ import annotations

import json

import pytest

from ..client import HOST, chunked, request
from ..conftest import Backends, Balance, Play
from .conftest import Fleet, Front
from .person import Person

SPELLINGS = (
    "X-Forwarded-User",
    "x-forwarded-user",
    "X-FORWARDED-USER",
    "X_Forwarded_User",
    "X-Forwarded_User",
    "X-Remote-User",
    "x-REMOTE-user",
    "X_REMOTE_USER",
    "Remote-User",
    "REMOTE-USER",
    "Remote_User",
    "remote_user",
    "X-IISNode-LOGON_USER",
    "x-iisnode-logon_user",
    "X-IISNODE-LOGON-USER",
    "X_IISNode_LOGON_USER",
    "X-IISNode_LOGON_USER",
    "X-IISNode-AUTH_USER",
    "X-IISNode-HTTPS",
    "X-SSL-Client-Cert",
    "x-ssl-client-s-dn",
    "X-SSL-Client-Verify",
    "X_SSL_Client_CN",
    "SSL-Client-Cert",
    "SSL-Client-S-DN",
    "ssl_client_verify",
    "SSL_CLIENT_CERT",
    "Client-Cert",
    "client-cert",
    "Client_Cert",
    "CLIENT-CERT",
    "Client-Cert-Chain",
    "client_cert-chain",
    "X-Forwarded-Client-Cert",
    "x-forwarded-CLIENT-cert",
    "X_Forwarded_Client_Cert",
    "X-ARR-ClientCert",
    "x-arr-clientcert",
    "X_ARR_ClientCert",
    "X-Client-Cert",
    "x-CLIENT-cert",
    "X_Client_Cert",
)
"""Of every name of an identity: as written, in other case, with _ for -."""

FORGED_LINES = [f"{name}: forged" for name in SPELLINGS]

FORWARDED = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port")

CONNECTIONS = {
    "plainly": [],
    "twice": FORGED_LINES,
    "every other one named in Connection": ["Connection: " + ", ".join(SPELLINGS[::2])],
    "the others named in Connection": ["Connection: " + ", ".join(SPELLINGS[1::2])],
    "beside a Connection that names lbproxy's own": ["Connection: " + ", ".join(FORWARDED)],
    "with lbproxy's own forged too": [f"{name.replace('-', mark)}: forged" for name in FORWARDED for mark in "-_"],
}


@pytest.mark.parametrize("more", CONNECTIONS.values(), ids=CONNECTIONS)
async def test_all_at_once(play: Play, more: list[str]) -> None:
    balancer, backend = await play()
    assert (await balancer.ask("/", "GET", *FORGED_LINES, *more, "X-Kept: yes")).status == 200
    [seen] = backend.requests
    assert b"forged" not in seen.raw
    assert seen.get("x-kept") == b"yes"
    port = str(balancer.address[1]).encode()
    assert [seen.all(name) for name in FORWARDED] == [[b"127.0.0.1"], [b"http"], [HOST.encode()], [port]]


async def test_one_at_a_time(play: Play) -> None:
    balancer, backend = await play()
    async with await balancer.connect() as client:
        for line in FORGED_LINES:
            assert (await client.ask("/", "GET", line)).status == 200
    assert [seen.raw for seen in backend.requests if b"forged" in seen.raw] == []
    assert len(backend.requests) == len(set(SPELLINGS)) >= 40


async def test_in_a_trailer(play: Play) -> None:
    """RFC 9110 section 6.5.1: a backend may merge trailers into the header fields."""
    balancer, backend = await play()
    async with await balancer.connect() as client:
        body = chunked([b"body"], *FORGED_LINES, "X-Kept: yes")
        await client.send(request("/", "POST", "Transfer-Encoding: chunked", "Trailer: X-Forwarded-User"), body)
        status = (await client.response()).status
    assert status in (200, 400)
    seen = [line for one in backend.requests for line in (*one.fields, *one.trailers)]
    assert [line for line in seen if b"forged" in line[1]] == []


async def test_with_underscores_allowed(backends: Backends, balance: Balance) -> None:
    """Names with _ pass then, but an identity is one with either mark."""
    [backend] = await backends()
    balancer = await balance(backend, listener={"allow_underscores": True})
    assert (await balancer.ask("/", "GET", *FORGED_LINES, "X_Kept: yes")).status == 200
    [seen] = backend.requests
    assert b"forged" not in seen.raw
    assert seen.get("x_kept") == b"yes"


async def test_names_of_the_administrators_own(backends: Backends, balance: Balance) -> None:
    [backend] = await backends()
    balancer = await balance(backend, listener={"strip_headers": ["X-Employee"]})
    lines = [f"{name}: forged" for name in ("X-Employee", "x-employee", "X_EMPLOYEE", "X-EMPLOYEE")]
    assert (await balancer.ask("/", "GET", *lines, "Connection: x-employee", "X-Employees: 3")).status == 200
    [seen] = backend.requests
    assert b"forged" not in seen.raw
    assert seen.get("x-employees") == b"3"


async def test_beside_a_valid_ticket(fleet: Fleet, front: Front, people: list[Person]) -> None:
    """As the Auth0 connector was fooled: what it would see is what its echo page sees."""
    alice, bob = people[:2]
    balancer = await front(await fleet("sample"), listener={"deny_paths": []})
    lines = [f"{name}: {bob.principal}" for name in SPELLINGS]
    echo = await balancer.ask("/test-headers", "GET", alice.login().line, *lines)
    assert echo.status == 200
    facts = json.loads(echo.body)
    assert facts["user"] == alice.principal
    assert bob.principal not in echo.body.decode()
    names = [name.lower() for name, _ in facts["headers"]]
    assert [names.count(name.lower()) for name in FORWARDED] == [1, 1, 1, 1]
