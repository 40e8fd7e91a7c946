from __future__ import annotations

import math
from collections.abc import Callable

import dns.message
import dns.rcode
import dns.rrset
import pytest

from lbproxy.control.discovery import dns_query
from lbproxy.control.discovery.dns_query import Found, Resolver
from lbproxy.control.discovery.source import SourceError
from tests.control.discovery.name_server import Answer, records, serving


async def ask(answer: Answer, name: str = "c.test.", kind: str = "A") -> Found:
    async with serving(answer) as server:
        resolver = Resolver([("127.0.0.1", server.port)])
        await resolver.prepare()
        return await resolver.ask(name, kind)


def negative(code: dns.rcode.Rcode, ttl: int | None, minimum: int = 0) -> Answer:
    def answer(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.set_rcode(code)
        if ttl is not None:
            data = f"ns.test. root.test. 1 2 3 4 {minimum}"
            response.authority.append(dns.rrset.from_text("test.", ttl, "IN", "SOA", data))
        return response

    return answer


def texts(found: Found) -> list[str]:
    return [record.to_text() for record in found.records or ()]


async def test_records_and_their_ttl() -> None:
    found = await ask(lambda query: records(query, "c.test. 60 IN A 10.0.0.1", "c.test. 60 IN A 10.0.0.2"))
    assert (sorted(texts(found)), found.ttl) == (["10.0.0.1", "10.0.0.2"], 60.0)  # a server may turn them around


@pytest.mark.parametrize("ttl", [0, 365 * 86400])
async def test_any_ttl_is_told(ttl: int) -> None:
    assert (await ask(lambda query: records(query, f"c.test. {ttl} IN A 10.0.0.1"))).ttl == ttl


async def test_an_alias_is_followed_and_the_shorter_ttl_counts() -> None:
    found = await ask(lambda query: records(query, "c.test. 5 IN CNAME d.test.", "d.test. 60 IN A 10.0.0.1"))
    assert (texts(found), found.ttl) == (["10.0.0.1"], 5.0)


@pytest.mark.parametrize("code", [dns.rcode.NXDOMAIN, dns.rcode.NOERROR])
@pytest.mark.parametrize(
    ("ttl", "minimum", "known_for"), [(300, 7, 7.0), (7, 300, 7.0), (None, 0, math.inf), (0, 0, 0.0)]
)
async def test_that_there_is_nothing_is_known_for_as_long_as_the_soa_says(
    code: dns.rcode.Rcode, ttl: int | None, minimum: int, known_for: float
) -> None:
    found = await ask(negative(code, ttl, minimum))
    assert (found.records, found.ttl) == (None, known_for)


async def test_an_alias_of_something_without_the_type_is_nothing() -> None:
    assert texts(await ask(lambda query: records(query, "c.test. 5 IN CNAME d.test."))) == []


@pytest.mark.parametrize("code", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
async def test_a_server_that_cannot_say_is_a_failure(code: dns.rcode.Rcode) -> None:
    with pytest.raises(SourceError, match=f"^c.test. A: {dns.rcode.to_text(code)}$"):
        await ask(negative(code, None))


async def test_records_of_another_name_are_refused() -> None:
    with pytest.raises(SourceError, match=r"the server has answered for evil\.test\. instead"):
        await ask(lambda query: records(query, "evil.test. 60 IN A 10.6.6.6"))


async def test_records_of_another_name_beside_the_right_ones_are_not_used() -> None:
    found = await ask(lambda query: records(query, "evil.test. 60 IN A 10.6.6.6", "c.test. 60 IN A 10.0.0.1"))
    assert texts(found) == ["10.0.0.1"]


def other_question(query: dns.message.Message) -> dns.message.Message:
    other = dns.message.make_query("evil.test.", "A", id=query.id)
    return records(other, "evil.test. 60 IN A 10.6.6.6")


def other_id(query: dns.message.Message) -> dns.message.Message:
    response = records(query, "c.test. 60 IN A 10.6.6.6")
    response.id ^= 1
    return response


def silence(query: dns.message.Message) -> None:
    return None


@pytest.mark.parametrize("answer", [other_question, other_id, silence])
async def test_an_answer_to_another_question_is_no_answer(
    answer: Callable[[dns.message.Message], dns.message.Message | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dns_query, "LIFETIME", 0.3)
    with pytest.raises(SourceError, match=r"^c\.test\. A: no answer within 0\.3 s$"):
        await ask(answer)


async def test_2000_addresses_come_over_tcp() -> None:
    lines = [f"c.test. 60 IN A 10.0.{number // 250}.{number % 250 + 1}" for number in range(2000)]
    async with serving(lambda query: records(query, *lines)) as server:
        resolver = Resolver([("127.0.0.1", server.port)])
        await resolver.prepare()
        found = await resolver.ask("c.test.", "A")
        assert server.over == ["udp", "tcp"]
    assert len(set(texts(found))) == 2000


async def test_the_next_server_is_asked_when_one_fails() -> None:
    async with serving(negative(dns.rcode.SERVFAIL, None)) as bad:  # noqa: SIM117 # one is in the other
        async with serving(lambda query: records(query, "c.test. 60 IN A 10.0.0.1")) as good:
            resolver = Resolver([("localhost", bad.port), ("127.0.0.1", good.port)])
            await resolver.prepare()
            assert texts(await resolver.ask("c.test.", "A")) == ["10.0.0.1"]
    assert "localhost" in repr(resolver)


async def test_a_server_whose_own_name_is_unknown() -> None:
    with pytest.raises(SourceError, match=r"^name server nowhere\.invalid: "):
        await Resolver([("nowhere.invalid", 53)]).prepare()


async def test_no_search_domain_is_asked_of_servers_that_are_named() -> None:
    asked: list[str] = []

    def answer(query: dns.message.Message) -> dns.message.Message:
        asked.append(query.question[0].name.to_text())
        return records(query, "c. 60 IN A 10.0.0.1")

    await ask(answer, "c")
    assert asked == ["c."]
