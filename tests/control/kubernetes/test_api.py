from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lbproxy.control.kubernetes import Api, PodAccount
from lbproxy.control.kubernetes import api as module
from lbproxy.control.kubernetes.account import Access, Account
from lbproxy.control.kubernetes.errors import ExpiredError, RefusedError, UnavailableError
from tests.control.kubernetes.api_server import PATH, ApiServer, endpoint, endpoint_slice

WHERE = PATH.format(namespace="login")


class Plain(Account):
    """Of a server without TLS, such as `kubectl proxy`."""

    where = "a test"

    def __init__(self, port: int) -> None:
        self.port = port

    async def access(self, renew: bool = False) -> Access:
        return Access(f"http://127.0.0.1:{self.port}")

    async def namespace(self) -> str:
        return "login"


@asynccontextmanager
async def answering(answer: bytes, end: bool = True) -> AsyncIterator[Api]:
    """A client of a server that answers each connection with those bytes."""

    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if not end:
            await reader.read()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        api = Api(Plain(server.sockets[0].getsockname()[1]))
        try:
            yield api
        finally:
            await api.close()
            await asyncio.gather(*serving)


async def test_an_object(api: Api, server: ApiServer) -> None:
    server.put(endpoint_slice("c-1", endpoint("a", "10.0.0.1")))
    found = await api.get(WHERE, {"labelSelector": "kubernetes.io/service-name=connectors"})
    assert [one["metadata"]["name"] for one in found["items"]] == ["c-1"]
    assert server.asked[-1].query == {"labelSelector": "kubernetes.io/service-name=connectors"}
    assert api.server == server.url


async def test_a_token_that_was_replaced_meanwhile_is_read_again(
    account: PodAccount, mounted: Path, server: ApiServer
) -> None:
    class Slow(PodAccount):
        """The kubelet writes between its reading and the server's."""

        async def access(self, renew: bool = False) -> Access:
            found = await super().access(renew)
            if not renew:
                server.token = "secret-token-2"
                (mounted / "token").write_text(server.token)
            return found

    api = Api(Slow(mounted, server.mount(mounted)))
    await api.get(WHERE, {})
    await api.close()
    assert [one.token for one in server.asked] == ["secret-token-1", "secret-token-2"]


async def test_a_token_that_is_not_accepted(api: Api, server: ApiServer) -> None:
    server.token = "another"
    with pytest.raises(RefusedError, match="401 Unauthorized: the token or certificate is not accepted") as error:
        await api.get(WHERE, {})
    assert error.value.status == 401
    assert len(server.asked) == 2
    assert "secret" not in str(error.value)


async def test_rights_that_are_missing(api: Api, server: ApiServer) -> None:
    server.verbs = set()
    with pytest.raises(RefusedError, match=r'403 endpointslices\.discovery\.k8s\.io is forbidden: User "system:serv'):
        await api.get(WHERE, {})


async def test_a_version_that_is_gone(api: Api, server: ApiServer) -> None:
    server.failure = 410, {}
    with pytest.raises(ExpiredError, match="410 the test wants it so"):
        await api.get(WHERE, {})


@pytest.mark.parametrize(
    ("status", "headers", "after"),
    [(429, {"Retry-After": "7"}, 7.0), (503, {"Retry-After": "soon"}, 0.0), (500, {}, 0.0)],
)
async def test_later(status: int, headers: dict[str, str], after: float, api: Api, server: ApiServer) -> None:
    server.failure = status, headers
    with pytest.raises(UnavailableError, match=f"{server.url}: {status} the test wants it so") as error:
        await api.get(WHERE, {})
    assert error.value.retry_after == after


async def test_nobody_listens(api: Api, server: ApiServer) -> None:
    await server.stop()
    with pytest.raises(UnavailableError, match=f"^{server.url}: "):
        await api.get(WHERE, {})


async def test_another_server_at_that_address(api: Api, mounted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    async with ApiServer(folder) as other:
        api = Api(PodAccount(mounted, other.mount(folder)))
        with pytest.raises(UnavailableError, match="certificate"):
            await api.get(WHERE, {})
        await api.close()
        assert other.asked == []


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "it does not answer as Kubernetes does"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "it does not answer as Kubernetes does"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "the answer was cut short"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "302"),
        (b"HTTP/1.1 502 Bad\r\nContent-Length: 4\r\n\r\noops", "502"),
        (b"SSH-2.0-secret\r\n", "the answer is not HTTP"),
        (b"", "closed the connection without an answer"),
    ],
)
async def test_what_is_no_api_server(answer: bytes, problem: str) -> None:
    async with answering(answer) as api:
        with pytest.raises(UnavailableError) as error:
            await api.get("/", {})
        assert problem in str(error.value)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [(b"", "no answer within 0.1 s"), (b"HTTP/1.1 200 OK\r\n\r\n{", "no whole answer within 0.1 s")],
)
async def test_each_answer_has_a_deadline(answer: bytes, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEADLINE", 0.1)
    async with answering(answer, end=False) as api:
        with pytest.raises(UnavailableError, match=problem):
            await api.get("/", {})


async def test_an_answer_and_a_line_have_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_ANSWER", 10)
    monkeypatch.setattr(module, "_LONGEST_LINE", 10)
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 20, end=False) as api:
        with pytest.raises(UnavailableError, match="the answer is longer than"):
            await api.get("/", {})
        with await api.open("/", {}) as stream, pytest.raises(UnavailableError, match="a line of the watch is longer"):
            await stream.line()


async def test_lines_of_a_stream() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (b'{"a":', b' 1}\n{"b": 2}\n{"c"', b": 3}\n{"))
    async with answering(head + chunks + b"0\r\n\r\n") as api:
        with await api.open("/", {}) as stream:
            assert [await stream.line() for _ in range(4)] == [{"a": 1}, {"b": 2}, {"c": 3}, None]


async def test_lines_may_be_cut_anywhere() -> None:
    told = '{"a": "\u00e9\u4e2d"}\n{"b": 2}\n'.encode()
    for cut in range(1, len(told)):
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (told[:cut], told[cut:]))
        async with answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n") as api:
            with await api.open("/", {}) as stream:
                assert [await stream.line() for _ in range(3)] == [{"a": "\u00e9\u4e2d"}, {"b": 2}, None]


async def test_waiting_for_a_line_may_be_given_up() -> None:
    head = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n'
    async with answering(head, end=False) as api:
        with await api.open("/", {}) as stream:
            for _ in range(2):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await stream.line()


async def test_a_host_that_is_gone_is_noticed(api: Api, server: ApiServer) -> None:
    """By the kernel: nothing else would say that a watch is dead."""
    import socket

    with module._watched((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1))) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        assert [sock.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [15, 5, 3]
