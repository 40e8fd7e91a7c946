from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import dns.message
import dns.rcode
import pytest

from lbproxy.balance.member import Member
from lbproxy.control.discovery.dns_source import AddressSource, ServiceSource
from lbproxy.control.discovery.source import SourceError
from tests.control.discovery.dnsmasq import Dnsmasq
from tests.control.discovery.name_server import NameServer, records, serving

SRV = "_login._tcp.test"


@pytest.fixture
def dnsmasq(tmp_path: Path) -> Iterator[Dnsmasq]:
    services = [f"--srv-host={SRV},{target},{rest}" for target, rest in (("a.test", "4000,0,60"), ("b.test", "4001,5"))]
    with Dnsmasq(tmp_path, "--cname=alias.test,a.test", "--host-record=both.test,10.0.0.9,fd00::9,77", *services) as it:
        it.serves({"a.test": ["10.0.0.1", "10.0.0.2"], "b.test": ["fd00::1", "10.0.0.3"]})
        yield it


def at(server: Dnsmasq | NameServer) -> list[tuple[str, int]]:
    return [("127.0.0.1", server.port)]


class TestAddresses:
    @pytest.mark.parametrize("name", ["a.test", "a.test.", "alias.test"])
    async def test_each_is_a_member(self, name: str, dnsmasq: Dnsmasq) -> None:
        answer = await AddressSource(name, "http", 4000, at(dnsmasq)).look()
        assert answer.members == (
            Member("10.0.0.1", "http://10.0.0.1:4000"),
            Member("10.0.0.2", "http://10.0.0.2:4000"),
        )

    async def test_of_both_kinds_with_their_ttl(self, dnsmasq: Dnsmasq) -> None:
        answer = await AddressSource("both.test", "tcp", 1, at(dnsmasq)).look()
        assert [member.url for member in answer.members] == ["tcp://10.0.0.9:1", "tcp://[fd00::9]:1"]
        assert answer.good_for == 77.0

    async def test_a_name_that_does_not_exist_is_an_empty_answer(self, dnsmasq: Dnsmasq) -> None:
        assert (await AddressSource("none.test", "http", 1, at(dnsmasq)).look()).members == ()

    async def test_a_server_that_refuses_is_a_failure(self, dnsmasq: Dnsmasq) -> None:
        with pytest.raises(SourceError, match=r"^elsewhere\.example A: REFUSED"):
            await AddressSource("elsewhere.example", "http", 1, at(dnsmasq)).look()

    async def test_half_of_the_truth_is_none(self) -> None:
        def only_a(query: dns.message.Message) -> dns.message.Message:
            response = records(query, "c.test. 60 IN A 10.0.0.1")
            if query.question[0].rdtype.name == "AAAA":
                response.set_rcode(dns.rcode.SERVFAIL)
            return response

        async with serving(only_a) as server:
            with pytest.raises(SourceError, match=r"^c\.test AAAA: SERVFAIL$"):
                await AddressSource("c.test", "http", 1, at(server)).look()

    async def test_2000_of_them(self) -> None:
        lines = [f"c.test. 60 IN AAAA fd00::{number:x}" for number in range(1, 2001)]
        async with serving(lambda query: records(query, *lines)) as server:
            answer = await AddressSource("c.test", "http", 4000, at(server)).look()
        assert len(answer.members) == 2000
        assert not any(member.problem() for member in answer.members)


class Zone:
    """Answers SRV and addresses as the test says, and counts what it is asked for."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.asked: list[str] = []
        self.broken: set[str] = set()

    def __call__(self, query: dns.message.Message) -> dns.message.Message:
        name = query.question[0].name.to_text()
        self.asked.append(name)
        response = records(query, *(line for line in self.lines if line.startswith(f"{name} ")))
        if name in self.broken:
            response.set_rcode(dns.rcode.SERVFAIL)
        return response


class TestServices:
    @pytest.fixture
    async def zone(self) -> AsyncIterator[tuple[Zone, ServiceSource]]:
        zone = Zone()
        async with serving(zone) as server:
            yield zone, ServiceSource("s.test", "http", at(server))

    async def test_of_a_real_server(self, dnsmasq: Dnsmasq) -> None:
        answer = await ServiceSource(SRV, "https", at(dnsmasq)).look()
        assert answer.members == (
            Member("a.test:4000", "https://10.0.0.1:4000", 60),
            Member("b.test:4001", "https://10.0.0.3:4001", 1, standby=True),
        )

    async def test_a_target_stays_at_its_address_while_it_has_it(self, zone: tuple[Zone, ServiceSource]) -> None:
        server, source = zone
        server.lines = ["s.test. 60 IN SRV 0 0 80 t.test.", "t.test. 9 IN A 10.0.0.5"]
        answer = await source.look()
        assert (answer.members, answer.good_for) == ((Member("t.test:80", "http://10.0.0.5:80"),), 9.0)
        server.lines.append("t.test. 60 IN A 10.0.0.1")
        assert (await source.look()).members[0].url == "http://10.0.0.5:80"
        server.lines.remove("t.test. 9 IN A 10.0.0.5")
        assert (await source.look()).members[0].url == "http://10.0.0.1:80"

    async def test_a_target_that_cannot_be_looked_up_stays_where_it_was(self, zone: tuple[Zone, ServiceSource]) -> None:
        server, source = zone
        server.lines = ["s.test. 60 IN SRV 0 0 80 t.test.", "t.test. 60 IN A 10.0.0.5"]
        before = await source.look()
        server.broken = {"t.test."}
        server.lines.append("s.test. 60 IN SRV 0 0 80 u.test.")
        answer = await source.look()
        assert answer.members == before.members
        assert answer.left_out == ("u.test:80: u.test has no address",)
        server.broken = {"s.test."}
        with pytest.raises(SourceError, match="SERVFAIL"):
            await source.look()

    async def test_a_dot_is_no_service_at_all(self, zone: tuple[Zone, ServiceSource]) -> None:
        server, source = zone
        server.lines = ["s.test. 60 IN SRV 0 0 0 ."]
        answer = await source.look()
        assert (answer.members, answer.left_out) == ((), ())
