"""What a listener serves, and what it counts."""

from __future__ import annotations

from lbproxy import reasons
from tests.net.dialogue import answer, forwarded, make_site, play, refusal, request
from tests.net.http.conftest import Converse
from tests.net.http.scenes import A_GET
from tests.net.peers import until


async def test_common_hosts_are_asked_about_once(converse: Converse) -> None:
    asked: list[bytes] = []

    def host_served(host: bytes) -> bool:
        asked.append(host)
        return True

    dialogue = converse(host_served=host_served)
    for host in (b"a.test", b"A.TEST", b"a.test"):
        await dialogue.client.send(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
        await dialogue.backend.receive()
        await dialogue.backend.send(answer())
        await dialogue.client.sees(answer())
    assert asked == [b"a.test", b"A.TEST"]


async def test_rare_spellings_of_paths_are_asked_about(converse: Converse) -> None:
    asked: list[bytes] = []

    def path_denied(target: bytes) -> bool:
        asked.append(target)
        return True

    dialogue = converse(path_denied=path_denied)
    await dialogue.client.send(request(b"GET /%64enied"))
    await dialogue.client.sees(refusal(reasons.DENIED_PATH, keep=True))
    await dialogue.client.send(request(b"GET /deniedx"))
    await dialogue.backend.sees(forwarded(b"GET /deniedx"))
    assert asked == [b"/%64enied"]


async def test_not_all_spellings_of_a_host_are_remembered(converse: Converse) -> None:
    """A client may invent them without end."""
    asked: list[bytes] = []

    def host_served(host: bytes) -> bool:
        asked.append(host)
        return True

    dialogue = converse(host_served=host_served)
    hosts = [b"%d.test" % number for number in range(65)]
    for host in (*hosts, hosts[0], hosts[-1]):
        await dialogue.client.send(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
        await dialogue.backend.receive()
        await dialogue.backend.send(answer())
        await dialogue.client.sees(answer())
    assert asked == [*hosts, hosts[-1]]


def test_nothing_is_counted_at_first() -> None:
    site = make_site()
    assert (site.requests, site.observed, site.seconds, site.on_fast_path) == (0, 0, 0, 0)
    assert {count for _, count in site.histogram()} == {0}


async def test_requests_are_counted_by_how_long_they_took(converse: Converse) -> None:
    dialogue = converse()
    site = dialogue.site
    assert (site.requests, site.observed, site.seconds) == (0, 0, 0)
    await play(dialogue, A_GET)
    await until(lambda: dialogue.ends)
    await dialogue.client.send(b"\0")
    await until(lambda: len(dialogue.ends) == 2)
    bounds = [bound for bound, _ in site.histogram()]
    counts = [count for _, count in site.histogram()]
    assert bounds == sorted(bounds)
    assert counts == sorted(counts)
    assert (site.requests, site.observed) == (1, 2)
    assert 0 < site.seconds < 10
