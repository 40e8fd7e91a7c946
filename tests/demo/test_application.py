from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from lbproxy.demo.acceptor import Acceptor
from lbproxy.demo.application import METADATA_PATH, Connector
from lbproxy.demo.journal import Journal, read_journal
from lbproxy.demo.options import parse_options

from .peers import HOST, Ticket

OWN = "http://10.0.0.1:4000"
Login = Callable[..., Ticket]
Open = Callable[..., Awaitable[TestClient[Any, Any]]]


@pytest.fixture
def open_client(aiohttp_client: Any) -> Iterator[Open]:
    """A client of a connector in this process: open_client("--binds", ..., acceptor=...)."""

    async def open_client(*arguments: str, acceptor: Acceptor | None = None) -> TestClient[Any, Any]:
        options = parse_options(["--name", "c1", *arguments])
        connector = Connector(options, OWN, acceptor, stack.enter_context(Journal(options.journal)))
        client: TestClient[Any, Any] = await aiohttp_client(connector.application())
        return client

    with ExitStack() as stack:
        yield open_client


async def test_without_any_authentication_there_is_a_sign_in_page(open_client: Open) -> None:
    client = await open_client()
    async with client.get("/wsfed") as answer:
        assert answer.status == 200
        assert "<form" in await answer.text()
        assert "WWW-Authenticate" not in answer.headers


async def test_the_form_knows_no_user(open_client: Open) -> None:
    client = await open_client()
    async with client.post("/wsfed", data={"username": "eve"}, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "/wsfed?error=unknown_user")


@pytest.mark.parametrize(("arguments", "target"), [((), OWN), (("--server-url", "https://u"), "https://u")])
async def test_logout_leads_to_the_address_that_the_instance_knows(
    open_client: Open, arguments: tuple[str, ...], target: str
) -> None:
    client = await open_client(*arguments)
    async with client.get("/logout", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, f"{target}/wsfed")


@pytest.mark.parametrize(
    ("arguments", "headers", "address"),
    [
        ((), {"Host": "a:1"}, "http://a:1"),
        ((), {"Host": "a:1", "X-Forwarded-Host": "b", "X-Forwarded-Proto": "https"}, "https://b"),
        (("--server-url", "https://u"), {"Host": "a:1"}, "https://u"),
        (("--server-url", "https://u"), {"X-Forwarded-Host": "b"}, "http://b"),
    ],
)
async def test_the_metadata_has_the_address_that_users_know(
    open_client: Open, arguments: tuple[str, ...], headers: dict[str, str], address: str
) -> None:
    client = await open_client(*arguments)
    async with client.get(METADATA_PATH, headers=headers) as answer:
        assert answer.content_type == "application/xml"
        assert f"<Address>{address}/wsfed</Address>" in await answer.text()


async def test_health_names_the_instance_and_its_version(open_client: Open) -> None:
    client = await open_client("--version", "1.8.0", "--connector-id", "x")
    async with client.get("/healthz") as answer:
        assert await answer.json() == {"status": "ok", "instance": "c1", "version": "1.8.0", "connectorId": "x"}


async def test_the_echo_has_every_header_line_and_the_digest_of_the_body(open_client: Open) -> None:
    client = await open_client()
    body = b"x" * 300_000
    async with client.put("/test-headers?a=b", data=body, headers=[("X-Two", "1"), ("X-Two", "2")]) as answer:
        echo = await answer.json()
    assert [pair for pair in echo["headers"] if pair[0] == "X-Two"] == [["X-Two", "1"], ["X-Two", "2"]]
    assert (echo["method"], echo["path"]) == ("PUT", "/test-headers?a=b")
    assert (echo["body_length"], echo["body_sha256"]) == (len(body), sha256(body).hexdigest())


async def test_connections_and_their_requests_are_counted(open_client: Open) -> None:
    client = await open_client()
    for expected in (1, 2):
        async with client.get("/users") as answer:
            facts = await answer.json()
            assert (facts["instance"], facts["connection"], facts["request"]) == ("c1", 1, expected)


async def test_an_unknown_page(open_client: Open) -> None:
    client = await open_client()
    async with client.get("/nothing") as answer:
        assert answer.status == 404


@pytest.mark.parametrize(("arguments", "challenges"), [((), ["Negotiate"]), (("--offer-ntlm",), ["Negotiate", "NTLM"])])
@pytest.mark.parametrize("path", ["/wsfed", "/wsfed/direct", "/users"])
async def test_kerberos_is_offered_on_lines_of_its_own(
    open_client: Open, in_realm: object, keytab: Path, arguments: tuple[str, ...], challenges: list[str], path: str
) -> None:
    client = await open_client(*arguments, acceptor=Acceptor(keytab))
    async with client.get(path) as answer:
        assert answer.status == 401
        assert answer.headers.getall("WWW-Authenticate") == challenges


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_ticket_signs_in_and_is_answered_with_proof(
    open_client: Open, login: Login, keytab: Path, method: str
) -> None:
    client, ticket = await open_client(acceptor=Acceptor(keytab, HOST)), login("bob")
    async with client.request(method, "/wsfed", headers={"Authorization": ticket.authorization}) as answer:
        assert answer.status == 200
        facts = await answer.json()
        assert (facts["user"], facts["how"]) == ("bob@CORP.EXAMPLE", "kerberos")
        assert ticket.verify(answer.headers["WWW-Authenticate"])


async def test_a_replayed_ticket_gets_a_fresh_challenge(open_client: Open, login: Login, keytab: Path) -> None:
    client, headers = await open_client(acceptor=Acceptor(keytab)), {"Authorization": login().authorization}
    async with client.get("/wsfed", headers=headers) as answer:
        assert answer.status == 200
    async with client.get("/wsfed", headers=headers) as answer:
        assert answer.status == 401
        assert answer.headers.getall("WWW-Authenticate") == ["Negotiate"]
        assert "replay" in (await answer.json())["error"]


@pytest.mark.parametrize(("arguments", "status"), [((), 401), (("--binds",), 200)])
async def test_whether_the_connection_keeps_the_user(
    open_client: Open, login: Login, keytab: Path, arguments: tuple[str, ...], status: int
) -> None:
    client = await open_client(*arguments, acceptor=Acceptor(keytab))
    async with client.get("/wsfed", headers={"Authorization": login().authorization}) as answer:
        assert answer.status == 200
    async with client.get("/wsfed") as answer:
        assert answer.status == status


async def test_the_journal_has_every_request_before_its_answer(
    open_client: Open, login: Login, keytab: Path, tmp_path: Path
) -> None:
    path = tmp_path / "journal"
    client = await open_client("--journal", str(path), "--work-ms", "1", acceptor=Acceptor(keytab))
    authorization = login().authorization
    for number in (1, 2):
        headers = {"Authorization": authorization, "X-Request-ID": f"r{number}"}
        async with client.get("/wsfed?x=y", headers=headers):
            pass
    first, second = read_journal(path)
    assert (first.method, first.path, first.id, first.user) == ("GET", "/wsfed?x=y", "r1", "alice@CORP.EXAMPLE")
    assert (second.id, second.user) == ("r2", None)
    assert first.token == second.token is not None
    assert (first.connection, first.request, second.request) == (1, 1, 2)
