"""What happens to header lines: kept as they are, removed hop by hop, or set by lbproxy itself."""

from __future__ import annotations

import pytest

from .backend import Lane, Script, answer
from .client import request
from .conftest import Backends, Balance, Play

FORWARDED = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port")
FORGED = (
    "X-Forwarded-For: 6.6.6.6",
    "x-forwarded-for: 7.7.7.7",
    "X-Forwarded-Proto: gopher",
    "X-Forwarded-Host: evil.test",
    "X-Forwarded-Port: 666",
)


def _field(line: str) -> tuple[bytes, bytes]:
    name, _, value = line.encode("latin-1").partition(b":")
    return name, value.strip()


def answering(*lines: str, status: str = "200 OK") -> Script:
    """A script that gives every answer these header lines."""

    async def script(lane: Lane) -> None:
        while await lane.request():
            await lane.send(answer(b"ok", *lines, status=status))

    return script


async def test_order_names_and_values_of_a_request_are_kept(play: Play) -> None:
    balancer, backend = await play()
    lines = ["X-b: 2", "x-A: 1", "Cookie: a=b; c=d", "X-b: 3", "X-Empty:", "X-Latin: caf\xe9", "X-List: a, b,,c"]
    await balancer.ask("/", "GET", *lines)
    wanted = [_field(line) for line in lines]
    assert [item for item in backend.requests[0].fields if item in wanted] == wanted


async def test_order_names_and_values_of_an_answer_are_kept(play: Play) -> None:
    lines = ["X-b: 2", "x-A: 1", "Set-Cookie: a=b; Path=/", "X-b: 3", "Set-Cookie: c=d", "X-Latin: caf\xe9"]
    balancer, _ = await play(answering(*lines))
    response = await balancer.ask()
    wanted = [_field(line) for line in lines]
    assert [item for item in response.fields if item in wanted] == wanted


async def test_two_www_authenticate_lines_stay_two(play: Play) -> None:
    lines = ["WWW-Authenticate: Negotiate", 'WWW-Authenticate: Basic realm="a, b"']
    balancer, _ = await play(answering(*lines, status="401 Unauthorized"))
    response = await balancer.ask()
    assert response.status == 401
    assert response.all("www-authenticate") == [b"Negotiate", b'Basic realm="a, b"']


async def test_the_mutual_authentication_token_of_a_200_passes(play: Play) -> None:
    balancer, _ = await play(answering("WWW-Authenticate: Negotiate oYG2MIGz=="))
    assert (await balancer.ask()).all("www-authenticate") == [b"Negotiate oYG2MIGz=="]


@pytest.mark.parametrize("phrase", ["OK", "", "Tr\xe8s bien (sic)"])
async def test_the_reason_phrase_may_be_anything(play: Play, phrase: str) -> None:
    balancer, _ = await play(answering(status=f"200 {phrase}"))
    assert (await balancer.ask()).status == 200


@pytest.mark.parametrize("host", ["login.test", "LOGIN.Test", "login.test:443", "login.test:8443"])
async def test_host_is_passed_on_unchanged(play: Play, host: str) -> None:
    balancer, backend = await play()
    async with await balancer.connect() as client:
        await client.send(request(host=host))
        assert (await client.response()).status == 200
    assert backend.requests[0].all("host") == [host.encode()]


async def test_a_large_ticket_passes_unchanged_by_default(play: Play) -> None:
    balancer, backend = await play()
    value = "Negotiate " + "YII" + "A" * 65_000 + "="
    assert (await balancer.ask("/", "GET", f"Authorization: {value}")).status == 200
    assert backend.requests[0].get("authorization") == value.encode()


async def test_hop_by_hop_lines_of_a_request_end_here(play: Play) -> None:
    balancer, backend = await play()
    await balancer.ask(
        "/",
        "GET",
        "Connection: keep-alive, X-Named",
        "connection: x-also-named",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQ",
        "X-Named: 1",
        "X-Also-Named: 2",
        "X-Kept: 3",
    )
    [seen] = backend.requests
    for name in ("keep-alive", "proxy-connection", "x-named", "x-also-named", "upgrade"):
        assert seen.all(name) == [], name
    assert seen.get("x-kept") == b"3"
    assert not {b"x-named", b"x-also-named", b"upgrade"} & set(seen.tokens("connection"))


async def test_hop_by_hop_lines_of_an_answer_end_here(play: Play) -> None:
    lines = ("Connection: keep-alive, X-Named", "Keep-Alive: timeout=5", "X-Named: 1", "Upgrade: h2c", "X-Kept: 3")
    balancer, _ = await play(answering(*lines))
    response = await balancer.ask()
    assert (response.status, response.get("x-kept")) == (200, b"3")
    for name in ("keep-alive", "x-named", "upgrade"):
        assert response.all(name) == [], name


@pytest.mark.parametrize("name", ["Host", "Content-Length", "Transfer-Encoding", "Cookie", "Authorization"])
async def test_connection_cannot_name_away_what_matters(play: Play, name: str) -> None:
    """Either refused, or the backend sees a whole request that still has its framing and its Host."""
    balancer, backend = await play()
    async with await balancer.connect() as client:
        await client.send(request("/1", "POST", f"Connection: {name}", "Cookie: a=b", body=b"GET /2 HTTP/1.1\r\n\r\n"))
        status = (await client.response()).status
    assert status in (200, 400)
    if status == 200:
        [seen] = backend.requests
        assert seen.body == b"GET /2 HTTP/1.1\r\n\r\n"
        assert seen.get("host") == b"login.test"


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_forwarded_lines_are_set(play: Play, tls: bool) -> None:
    balancer, backend = await play(tls=tls)
    host = f"login.test:{balancer.address[1]}"
    async with await balancer.connect() as client:
        await client.send(request(host=host))
        await client.response()
    [seen] = backend.requests
    assert [seen.all(name) for name in FORWARDED] == [
        [b"127.0.0.1"],
        [b"https" if tls else b"http"],
        [host.encode()],
        [b"%d" % balancer.address[1]],
    ]


@pytest.mark.parametrize("option", [(), ("Connection: x-forwarded-for, X-Forwarded-Proto, x-forwarded-host",)])
async def test_forged_forwarded_lines_are_replaced(play: Play, option: tuple[str, ...]) -> None:
    balancer, backend = await play()
    await balancer.ask("/", "GET", *FORGED, *option)
    [seen] = backend.requests
    assert [len(seen.all(name)) for name in FORWARDED] == [1, 1, 1, 1]
    for bad in (b"6.6.6.6", b"7.7.7.7", b"gopher", b"evil.test", b"666"):
        assert bad not in b"".join(b"".join(seen.all(name)) for name in FORWARDED)
    assert seen.get("x-forwarded-for") == b"127.0.0.1"


async def test_forwarded_lines_of_a_trusted_peer_are_kept(backends: Backends, balance: Balance) -> None:
    [backend] = await backends()
    balancer = await balance(backend, listener={"trust_forwarded_from": ["127.0.0.0/8"]})
    await balancer.ask(
        "/", "GET", "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https", "X-Forwarded-Host: login.test"
    )
    [seen] = backend.requests
    assert b"192.0.2.7" in seen.tokens("x-forwarded-for")
    assert seen.get("x-forwarded-proto") == b"https"
    assert seen.get("x-forwarded-host") == b"login.test"


async def test_forwarded_lines_of_others_are_not_kept(backends: Backends, balance: Balance) -> None:
    [backend] = await backends()
    balancer = await balance(backend, listener={"trust_forwarded_from": ["192.0.2.0/24", "::/0"]})
    await balancer.ask("/", "GET", *FORGED)
    assert backend.requests[0].get("x-forwarded-for") == b"127.0.0.1"


@pytest.mark.parametrize(
    "name",
    ["X-Forwarded-User", "x-iisnode-LOGON_USER", "X-IISNode-HTTPS", "X_Forwarded_User", "Remote-User", "Client-Cert"],
)
async def test_identities_made_up_by_a_client_end_here(play: Play, name: str) -> None:
    """The Auth0 connector believes the first three, whatever the ticket of the same request says."""
    balancer, backend = await play()
    assert (await balancer.ask("/", "GET", f"{name}: forged")).status == 200
    assert b"forged" not in backend.requests[0].raw


@pytest.mark.parametrize("name", ["Location", "Content-Location"])
async def test_a_location_that_names_the_backend_is_rewritten(play: Play, name: str) -> None:
    async def redirects(lane: Lane) -> None:
        places = {
            b"/own": f"{lane.backend.url}/x?y=http://127.0.0.1:1/",
            b"/bare": lane.backend.url,
            b"/relative": "/x",
            b"/foreign": "https://idp.test/x",
            b"/longer": f"{lane.backend.url}0/x",
        }
        while seen := await lane.request():
            await lane.send(answer(b"", f"{name}: {places[seen.target]}", status="302 Found"))

    balancer, backend = await play(redirects)
    ours = balancer.config["server_url"].encode()
    async with await balancer.connect() as client:
        assert (await client.ask("/own")).get(name) == ours + b"/x?y=http://127.0.0.1:1/"
        assert (await client.ask("/bare")).get(name) in (ours, ours + b"/")
        assert (await client.ask("/relative")).get(name) == b"/x"
        assert (await client.ask("/foreign")).get(name) == b"https://idp.test/x"
        assert (await client.ask("/longer")).get(name) == f"{backend.url}0/x".encode()


async def test_a_request_has_an_id_by_default(play: Play) -> None:
    balancer, backend = await play()
    await balancer.ask("/", "GET", "X-Request-ID: forged")
    [record] = await balancer.accessed(1)
    assert backend.requests[0].all("x-request-id") == [record["request_id"].encode()]
    assert len(record["request_id"]) == 32


async def test_a_trusted_peer_may_give_it_under_the_configured_name(backends: Backends, balance: Balance) -> None:
    [backend] = await backends()
    balancer = await balance(backend, listener={"trust_forwarded_from": ["127.0.0.0/8"]}, request_id="X-Correlation-ID")
    await balancer.ask("/", "GET", "X-Correlation-ID: abc-1", "X-Request-ID: as it is")
    [seen] = backend.requests
    assert (seen.all("x-correlation-id"), seen.all("x-request-id")) == ([b"abc-1"], [b"as it is"])
    refused = await balancer.ask("/test-iis", "GET", "X-Correlation-ID: abc-2")
    assert (refused.status, refused.get("x-correlation-id")) == (404, b"abc-2")
    assert [record["request_id"] for record in await balancer.accessed(2)] == ["abc-1", "abc-2"]
