"""The access log: one JSON object a line, whatever clients send, and no secret in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from .backend import answer
from .balancer import Balancer, running
from .client import HOST, request
from .configuration import configuration
from .conftest import Backends, Play

KEYS = [
    "time",
    "listener",
    "client",
    "method",
    "target",
    "host",
    "protocol",
    "status",
    "bytes_in",
    "bytes_out",
    "user_agent",
    "user",
    "backend",
    "lane",
    "reused",
    "tries",
    "connect_ms",
    "first_byte_ms",
    "total_ms",
    "reason",
    "request_id",
    "trace_id",
]


async def test_a_line_says_what_happened(play: Play) -> None:
    balancer, _ = await play()
    began = datetime.now(UTC)
    async with await balancer.connect() as client:
        for _ in range(2):
            await client.ask("/a?b=c", "POST", "User-Agent: Mozilla/5.0", body=b"12345")
        fresh, reused = await balancer.accessed(2, client=client.name)
    assert list(fresh) == KEYS
    assert abs((datetime.fromisoformat(fresh["time"]) - began).total_seconds()) < 60
    wanted = {
        "listener": "login",
        "method": "POST",
        "target": "/a?b=c",
        "host": HOST,
        "protocol": "HTTP/1.1",
        "status": 200,
        "user_agent": "Mozilla/5.0",
        "backend": "c1",
        "lane": "shared",
        "tries": 1,
        "reason": "done",
    }
    for record in (fresh, reused):
        assert {key: record[key] for key in wanted} == wanted
        assert record["bytes_in"] >= 5
        assert record["bytes_out"] >= len(answer(b"c1")) - 40
        assert 0 <= record["connect_ms"] <= record["first_byte_ms"] <= record["total_ms"]
    assert (fresh["reused"], reused["reused"]) == (False, True)


async def test_a_request_that_reached_no_backend(play: Play) -> None:
    balancer, _ = await play()
    assert (await balancer.ask("/test-iis")).status == 404
    [record] = await balancer.accessed(target="/test-iis")
    assert (record["status"], record["backend"], record["lane"], record["tries"]) == (404, "", "", 0)
    assert (record["connect_ms"], record["first_byte_ms"]) == (None, None)


async def test_no_client_forges_a_line(play: Play) -> None:
    balancer, _ = await play()
    forgery = '"}\\n{"status":200,"user_agent":"'
    agents = [forgery, "\x85\x9b[2J\xa0", "a\tb", "\\", '\\"', "\\u000a", "x" * 60_000, "\xe2\x80\xa8"]
    targets = ["/%0A%0D%22", '/"}{"', "/\\n", "/'<>`|", "/" + "y" * 10_000]
    async with await balancer.connect() as client:
        for agent in agents:
            assert (await client.ask("/", "GET", f"User-Agent: {agent}")).status == 200
        for target in targets:
            assert (await client.ask(target)).status == 200
    await balancer.accessed(len(agents) + len(targets))
    assert len(balancer.access_lines) == len(agents) + len(targets)
    for line in balancer.access_lines:
        assert all(0x20 <= byte < 0x7F for byte in line[:-1]), line
        assert len(line) < 8192
        assert list(json.loads(line)) == KEYS
    assert [record["user_agent"] for record in balancer.access[:6]] == agents[:6]
    assert [record["target"] for record in balancer.access[len(agents) :]][:4] == targets[:4]


async def test_refused_requests_do_not_forge_lines_either(play: Play) -> None:
    balancer, _ = await play()
    bad = [
        b'GET /"\n{"status":200}\r\n\r\n',
        b"G\x1b[2JET / HTTP/1.1\r\n\r\n",
        b'\x00{"status":200}\r\n\r\n',
        request(host='login.test"\\n'),
        request("/\x7f"),
        request("/", "GET", "User-Agent: a\nb"),
    ]
    for raw in bad:
        async with await balancer.connect() as client:
            await client.send(raw)
            assert (await client.response()).status == 400
    await balancer.accessed(len(bad), status=400)
    for line in balancer.access_lines:
        assert all(0x20 <= byte < 0x7F for byte in line[:-1]), line
    assert len(balancer.access_lines) == len(bad)


SECRETS = ["c2VjcmV0", "TlRMTVNTUAABAAAA", "b1lHMnNlY3JldA", "chocolate"]


def logged_secrets(balancer: Balancer) -> list[str]:
    everything = "\n".join([*balancer.log, *map(str, balancer.access)])
    return [secret for secret in SECRETS if secret in everything]


async def test_no_log_holds_a_credential(play: Play) -> None:
    balancer, _ = await play()
    cookie = f"Cookie: {SECRETS[3]}"
    for value in (f"Basic {SECRETS[0]}", f"NTLM {SECRETS[1]}", f"Bogus {SECRETS[2]}"):
        assert (await balancer.ask("/", "GET", f"Authorization: {value}", cookie)).status == 200
    async with await balancer.connect() as client:
        await client.send(request("/", "GET", *[f"Authorization: Basic {SECRETS[0]}"] * 2, cookie))
        assert (await client.response()).status == 400
        await balancer.accessed(client=client.name)
    assert logged_secrets(balancer) == []


async def test_a_malformed_request_is_not_logged_with_parts_of_another(play: Play) -> None:
    """Nothing of it was understood, so nothing may be shown at the places where the last one's target was."""
    balancer, _ = await play()
    async with await balancer.connect() as client:
        assert (await client.ask("/" + "x" * 2000, "GET", "User-Agent: " + "y" * 400)).status == 200
        assert (await client.ask("/", "GET", f"Authorization: Basic {SECRETS[0] * 200}")).status == 200
    async with await balancer.connect() as bad:
        await bad.send(b"\0" + f"Cookie: {SECRETS[3]}\r\n\r\n".encode())
        assert (await bad.response()).status == 400
        [record] = await balancer.accessed(client=bad.name)
    assert (record["method"], record["target"], record["host"], record["user_agent"]) == ("", "", "", "")
    assert logged_secrets(balancer) == []


async def test_it_may_be_a_file(backends: Backends, directory: Path) -> None:
    [backend] = await backends()
    path = directory / "access.log"
    config = configuration(directory, [(backend.name, backend.url)])
    async with running({**config, "access_log": {"path": str(path)}}, directory) as balancer:
        assert (await balancer.ask("/file")).status == 200
    assert [json.loads(line)["target"] for line in path.read_text().splitlines()] == ["/file"]
    assert balancer.access == []


async def test_it_may_be_off(backends: Backends, directory: Path) -> None:
    [backend] = await backends()
    config = configuration(directory, [(backend.name, backend.url)])
    async with running({**config, "access_log": {"path": ""}}, directory) as balancer:
        assert (await balancer.ask("/off")).status == 200
    assert balancer.access == []
