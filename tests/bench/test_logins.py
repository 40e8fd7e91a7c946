"""Logins at servers that behave well, badly, or like two users' one; a realm's tickets are in e2e/direct_auth."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from yarl import URL

from bench.errors import BenchError
from bench.logins.login import Answer, Login, Plan, Reader, log_in
from bench.logins.options import ReaderOption
from bench.logins.run import Crowd, Load
from bench.logins.users import User, tls_context, with_certificates, with_tickets
from tests.pki import Authority

HOST = "login.test"
Serve = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[Plan]]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.root("CN=Authority")


@pytest.fixture(scope="module")
def folder(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authority, and the certificates of two users, each with its key."""
    folder = tmp_path_factory.mktemp("certificates")
    authority.write_certificate(folder / "ca")
    for user in ("ann", "bob"):
        holder = authority.issue(user)
        (folder / f"{user}.pem").write_bytes(holder.chain_pem + holder.key_pem)
    return folder


@pytest.fixture
def users(folder: Path) -> list[User]:
    return with_certificates((folder,), None, lambda: tls_context(folder / "ca", insecure=False))


@pytest_asyncio.fixture
async def serve(authority: Authority, folder: Path, tmp_path: Path) -> AsyncIterator[Serve]:
    """A server over TLS that asks for certificates; the plan has its address, and where users and instances are."""
    runners: list[web.BaseRunner] = []
    files = authority.server(HOST).write(tmp_path, "server")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca")
    context.load_cert_chain(files.chain, files.key)
    context.verify_mode = ssl.CERT_REQUIRED

    async def start(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Plan:
        runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)  # type: ignore[arg-type]
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        place = "127.0.0.1", int(runner.addresses[0][1])
        told = Plan(URL(f"https://{HOST}/"), connect=place, seconds=30)
        return replace(told, instance=reader("header:X-Instance"), identity=reader("header:X-User"))

    yield start
    for runner in runners:
        await runner.cleanup()


def reader(where: str) -> Reader:
    return ReaderOption().convert(where, None, None)


async def tried(user: User, plan: Plan) -> Login:
    return await log_in(user, plan, 0.0, time.monotonic())


def subject(request: web.BaseRequest) -> str:
    assert request.transport is not None
    [[[_, name]]] = request.transport.get_extra_info("peercert")["subject"]
    return f"CN={name}"


async def welcome(request: web.BaseRequest) -> web.Response:
    return web.Response(text="hello", headers={"X-User": subject(request), "X-Instance": "c1"})


async def test_a_login_has_the_time_of_each_step(serve: Serve, users: list[User]) -> None:
    plan = await serve(welcome)
    login = await tried(users[0], replace(plan, requests=2))
    assert (login.failure, login.user, login.instance, login.connections) == ("", "CN=ann", "c1", 1)
    assert {step: len(took) for step, took in login.took.items()} == {
        "connect": 1,
        "sign-in": 1,
        "request": 2,
        "login": 1,
    }
    whole = login.took["login"][0]
    assert 0 < sum(seconds for step, took in login.took.items() if step != "login" for seconds in took) <= whole


async def test_an_answer_for_another_user_is_a_failure_of_its_own(serve: Serve, users: list[User]) -> None:
    async def as_ann(_: web.BaseRequest) -> web.Response:
        return web.Response(headers={"X-User": "CN=ann"})

    plan = await serve(as_ann)
    ann, bob = [await tried(user, plan) for user in users]
    assert (ann.failure, ann.crossed, ann.instance) == ("", False, "not told")
    assert (bob.failure, bob.crossed) == ("answered as another user", True)


async def test_what_fails_is_said_in_words_that_are_alike(serve: Serve, users: list[User]) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        match behaviour:
            case "status":
                return web.Response(status=502)
            case "nobody":
                return web.Response()
            case "cut":
                response = web.StreamResponse(headers={"Content-Length": "10"})
                await response.prepare(request)
                await response.write(b"12345")
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    plan = await serve(answer)
    told = {}
    for behaviour in ("status", "nobody", "cut", "closed"):
        told[behaviour] = (await tried(users[0], plan)).failure
    assert told == {
        "status": "502 to the sign-in",
        "nobody": "the answer does not tell its user",
        "cut": "the answer is cut off",
        "closed": "the connection was closed without an answer",
    }


async def test_a_server_that_says_nothing_has_a_deadline(serve: Serve, users: list[User]) -> None:
    asked = asyncio.Event()

    async def silence(_: web.BaseRequest) -> web.Response:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    plan = await serve(silence)
    assert (await tried(users[0], replace(plan, seconds=0.5))).failure == "no end within the time limit"


async def test_a_port_without_a_server_and_a_server_of_another_name(serve: Serve, users: list[User]) -> None:
    plan = await serve(welcome)
    other = replace(plan, url=URL("https://other.test/"))
    assert (await tried(users[0], other)).failure.startswith("connect: ")
    nowhere = replace(plan, connect=("127.0.0.1", 1))
    assert (await tried(users[0], nowhere)).failure == "connect: connection refused"


async def test_users_take_turns_and_a_run_can_be_stopped(serve: Serve, users: list[User]) -> None:
    seen: list[str] = []
    enough = asyncio.Event()

    async def counted(request: web.BaseRequest) -> web.Response:
        seen.append(subject(request))
        if len(seen) == 10:
            enough.set()
        return await welcome(request)

    crowd = Crowd(users, await serve(counted), Load(at_once=2, seconds=3600))
    running = asyncio.ensure_future(crowd.go())
    await enough.wait()
    crowd.stop()
    run = await running
    assert len(run.logins) == len(seen)
    assert not [login.failure for login in run.logins if login.failure]
    assert abs(seen.count("CN=ann") - seen.count("CN=bob")) <= 1
    assert (run.late, run.seconds > 0, run.cpu > 0) == (0, True, True)


async def test_what_was_due_and_never_began_is_counted(serve: Serve, users: list[User]) -> None:
    """One login at once, which ends by its limit only: of 20 that are due in a second most do not begin."""

    async def silence(_: web.BaseRequest) -> web.Response:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return web.Response()

    plan = replace(await serve(silence), seconds=0.6)
    run = await Crowd(users, plan, Load(at_once=1, seconds=1, rate=20)).go()
    assert len(run.logins) + run.late == 20
    assert run.late >= 17
    assert run.logins[1].took["login"][0] > 0.6, "it waited since it was due"


@pytest.mark.parametrize(
    ("where", "found"),
    [("header:X-It", "h"), ("json:it", "j"), ('regex:"it": "(.)"', "j"), ("header:X-No", ""), ("json:no", "")],
)
def test_a_text_is_found_where_it_is_said_to_be(where: str, found: str) -> None:
    assert reader(where)(Answer(200, {"X-It": "h"}, '{"it": "j"}')) == found


@pytest.mark.parametrize("body", ["", "[1]", '{"it": null}', "{"])
def test_a_body_that_is_no_object_has_no_member(body: str) -> None:
    assert reader("json:it")(Answer(200, {}, body)) == ""


def test_files_without_a_certificate_are_named(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()

    def context() -> ssl.SSLContext:
        return tls_context(None, insecure=True)

    for path, message in ((empty, "empty.pem"), (tmp_path / "no", "no"), (tmp_path, "empty.pem")):
        with pytest.raises(BenchError, match=message):
            with_certificates((path,), None, context)
    with pytest.raises(BenchError, match="keytab"):
        with_tickets(empty, (), "HTTP@login.test", None, print)
    with pytest.raises(BenchError, match="--ca"):
        tls_context(empty, insecure=False)
