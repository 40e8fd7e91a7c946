"""Everything here is caused for real: a KDC, connectors as processes, keys that are rotated, clocks that are wrong."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import aiohttp
import pytest

from lbproxy.control.probes import ProbeResult
from lbproxy.control.probes.connector import open_session
from lbproxy.control.probes.kerberos.credentials import Login
from lbproxy.control.probes.kerberos.exchange import Page
from lbproxy.control.probes.kerberos.probe import KerberosProbe
from lbproxy.control.probes.kerberos.tickets import Tickets
from tests.control.probes.backends import answering, hanging, listening, unused_port
from tests.control.probes.kerberos.peers import HOST, Corp, clock

AMPLE = 20.0
"""Seconds that no probe takes, unless a test is about taking them."""

Probes = Callable[..., KerberosProbe]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session() as session:
        yield session


@pytest.fixture
def probes(session: aiohttp.ClientSession, corp: Corp) -> Probes:
    """probes(url) is a new probe of a pool of its own. To it every ticket is old, so that no test has to wait."""

    def make(
        url: str, login: Login | None = None, patience: float = AMPLE, timeout: float = AMPLE, refresh: float = 3600.0
    ) -> KerberosProbe:
        tickets = Tickets("connectors", login or corp.login(), patience, refresh, fresh=0.0)
        return KerberosProbe(session, Page(f"{url}/wsfed", HOST, {200, 302}), tickets, timeout)

    return make


def found(result: ProbeResult) -> tuple[bool, str | None]:
    return result.ok, result.reason


GOOD = (True, None)


async def becomes(probe: KerberosProbe, wanted: tuple[bool, str | None]) -> ProbeResult:
    """Probe until it finds that; the suite's own limit ends a test that waits in vain."""
    while found(result := await probe.run()) != wanted:
        pass
    return result


async def test_a_sign_in(corp: Corp, probes: Probes) -> None:
    with corp.sample_connector("--keytab", corp.keytab) as connector:
        result = await probes(connector.url).run()
    assert found(result) == GOOD
    assert result.detail == "200, signed in"
    assert 0 < result.took < AMPLE


# --- does it keep the user on the connection?


async def test_a_connector_that_binds(corp: Corp, probes: Probes) -> None:
    with corp.sample_connector("--keytab", corp.keytab, "--binds") as connector:
        probe = probes(connector.url)
        assert probe.binds is None
        for _ in range(2):
            assert found(await probe.run()) == GOOD
            assert probe.binds is True


async def test_a_connector_that_does_not_bind(corp: Corp, probes: Probes) -> None:
    with corp.sample_connector("--keytab", corp.keytab) as connector:
        probe = probes(connector.url)
        await probe.run()
    assert probe.binds is False


async def test_it_is_not_asked_with_every_probe(corp: Corp, probes: Probes) -> None:
    journal = corp.realm.directory / "journal"
    with corp.sample_connector("--keytab", corp.keytab, "--journal", journal) as connector:
        probe = probes(connector.url)
        for _ in range(3):
            await probe.run()
    requests = journal.read_text().splitlines()
    assert len(requests) == 2 + 1 + 1


# --- between lbproxy and the KDC: never a bad probe


async def test_a_kdc_that_is_stopped_and_started_again(corp: Corp, probes: Probes) -> None:
    corp.realm.stop()
    with corp.sample_connector("--keytab", corp.keytab) as connector:
        probe = probes(connector.url)
        result = await probe.run()
        assert found(result) == (True, "kdc_unreachable")
        assert result.detail == (
            "401, not signed in: no KDC of the realm answers (Cannot contact any KDC for realm 'CORP.EXAMPLE')"
        )
        corp.realm.start()
        await becomes(probe, GOOD)


async def test_a_kdc_that_hangs(corp: Corp, probes: Probes) -> None:
    assert corp.realm.kdc_pid is not None
    os.kill(corp.realm.kdc_pid, signal.SIGSTOP)
    with corp.sample_connector("--keytab", corp.keytab) as connector:
        probe = probes(connector.url, patience=0.2)
        result = await probe.run()
        assert found(result) == (True, "kdc_unreachable")
        assert result.detail == "401, not signed in: no KDC of the realm answers (no answer within 0.2 s)"
        os.kill(corp.realm.kdc_pid, signal.SIGCONT)
        await becomes(probe, GOOD)


async def test_the_time_that_the_kdc_takes_is_not_the_connectors(corp: Corp, probes: Probes) -> None:
    assert corp.realm.kdc_pid is not None
    os.kill(corp.realm.kdc_pid, signal.SIGSTOP)
    with corp.sample_connector("--keytab", corp.keytab) as connector:
        result = await probes(connector.url, patience=2.0, timeout=1.9).run()
        os.kill(corp.realm.kdc_pid, signal.SIGCONT)
    assert found(result) == (True, "kdc_unreachable")
    assert result.took > 1.9


@contextmanager
def dead_kdc(hangs: bool) -> Iterator[str]:
    """The address of a KDC whose host takes no connection, or whose process takes it and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=8 if hangs else 0) as server, ExitStack() as stack:
        for _ in range(0 if hangs else 2):  # it has room for one: the next waits, and so does the library's
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(server.getsockname())
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("hangs", [False, True], ids=["gone", "hangs"])
async def test_the_first_of_two_kdcs_is_dead(
    corp: Corp, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture, hangs: bool
) -> None:
    """The library asks it first each time, for one second or for ten, which is no time of the connectors'."""
    path = Path(corp.realm.env["KRB5_CONFIG"])
    alone = path.read_text()
    with dead_kdc(hangs) as address, corp.sample_connector("--keytab", corp.keytab) as connector:
        path.write_text(alone.replace("kdc = ", f"kdc = {address}\n        kdc = "))
        tickets = Tickets("connectors", corp.login())  # with the times that are served with
        result = await KerberosProbe(session, Page(f"{connector.url}/wsfed", HOST, {200, 302}), tickets, 1.0).run()
    assert found(result) == GOOD
    assert result.took > 1.0, "the dead one was asked"
    assert not caplog.records, "it was no trouble"


async def test_without_a_kdc_the_ticket_at_hand_is_used(corp: Corp, probes: Probes) -> None:
    with corp.sample_connector("--keytab", corp.keytab) as connector:
        probe = probes(connector.url)
        await probe.run()
        corp.realm.stop()
        assert found(await probe.run()) == GOOD


async def test_a_connector_that_dies_while_the_kdc_is_down_is_found_out(corp: Corp, probes: Probes) -> None:
    corp.realm.stop()
    with corp.sample_connector("--keytab", corp.keytab) as connector:
        probe = probes(connector.url, timeout=0.5)
        await becomes(probe, (True, "kdc_unreachable"))
        connector.process.send_signal(signal.SIGSTOP)
        assert found(await probe.run()) == (False, "connector_hung")
        connector.process.send_signal(signal.SIGCONT)
        await becomes(probe, (True, "kdc_unreachable"))
    assert found(await probe.run()) == (False, "connector_unreachable")


async def test_a_connector_that_was_found_wrong_stays_so_while_the_kdc_is_down(corp: Corp, probes: Probes) -> None:
    corp.rotate()
    with corp.sample_connector("--keytab", corp.keytab) as connector:
        probe = probes(connector.url)
        assert found(await probe.run()) == (False, "connector_key")
        corp.realm.stop()
        for _ in range(3):
            assert found(await probe.run()) == (False, "connector_key")


async def test_without_a_ticket_other_faults_of_the_connector_are_found(corp: Corp, probes: Probes) -> None:
    corp.realm.stop()
    broken = answering(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    async with listening(broken) as port:
        assert found(await probes(f"http://127.0.0.1:{port}").run()) == (False, "connector_status")
    no_kerberos = answering(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
    async with listening(no_kerberos) as port:
        assert found(await probes(f"http://127.0.0.1:{port}").run()) == (False, "connector_no_negotiate")


async def test_an_unknown_spn(corp: Corp, probes: Probes) -> None:
    with corp.sample_connector("--keytab", corp.keytab) as connector:
        result = await probes(connector.url, corp.login(spn="HTTP@nobody.corp.example")).run()
    assert found(result) == (True, "spn_unknown")


async def test_the_wrong_keytab_for_the_probe(corp: Corp, probes: Probes) -> None:
    with corp.sample_connector("--keytab", corp.keytab) as connector:
        assert found(await probes(connector.url, corp.login(corp.keytab)).run()) == (True, "probe_keytab_unusable")
        corp.realm.rotate("HTTP/probe.corp.example")
        assert found(await probes(connector.url).run()) == (True, "probe_key_wrong")


async def test_a_kdc_with_a_wrong_clock(corp: Corp, probes: Probes) -> None:
    corp.restart_kdc(clock("+600s"))
    with corp.sample_connector("--keytab", corp.keytab) as connector:
        result = await probes(connector.url).run()
    assert found(result) == (True, "kdc_clock_skew")
    assert re.search(r"\(the KDC's is (599|600|601) s ahead of this machine's\)", result.detail)


# --- the connector's faults


async def test_a_key_that_was_rotated_with_the_old_keytab_left_in_place(corp: Corp, probes: Probes) -> None:
    with corp.sample_connector("--keytab", corp.keytab) as connector:
        probe = probes(connector.url, refresh=0.0)
        assert found(await probe.run()) == GOOD
        corp.rotate()
        result = await becomes(probe, (False, "connector_key"))
        assert probe.kvno == 1, "what it has, though the ticket was a newer one"
    assert result.detail == (
        "it refuses a fresh ticket: an old key, or the wrong keytab (401; the ticket has kvno 2, aes256-sha1)"
    )


class Two:
    """Two connectors, c1 and c2, of one pool; to it every ticket is old. `asked` are those to be probed at once."""

    def __init__(self, session: aiohttp.ClientSession, corp: Corp, *urls: str) -> None:
        self.tickets = Tickets("connectors", corp.login(), AMPLE, refresh=3600.0, fresh=0.0)
        self.asked: set[str] = set()
        self.tickets.votes.ask = self.asked.add
        self.first, self.second = (
            KerberosProbe(session, Page(f"{url}/wsfed", HOST, {200}), self.tickets, AMPLE, name=name)
            for name, url in zip(("c1", "c2"), urls, strict=True)
        )

    async def see(self, change: Callable[[], Path]) -> Path:
        """Make the change, and fetch a ticket after it, as happens once a minute; what it returned."""
        done = change()
        await self.tickets.newer(await self.tickets.get())
        return done

    async def are(self, first: tuple[bool, str | None], second: tuple[bool, str | None]) -> None:
        """Probe both until they find that."""
        while (found(await self.first.run()), found(await self.second.run())) != (first, second):
            pass


DIRECTORY = (True, "spn_key_changed")


async def test_the_version_of_a_key_is_not_known_until_the_newest_ticket_was_shown(
    corp: Corp, session: aiohttp.ClientSession
) -> None:
    with corp.sample_connector("--keytab", corp.keytab) as connector:
        two = Two(session, corp, connector.url, connector.url)
        await two.are(GOOD, GOOD)
        await two.see(corp.rotate)
        await becomes(two.first, (True, "connector_key"))
        assert (two.first.kvno, two.second.kvno) == (1, None)
        await becomes(two.second, DIRECTORY)
        assert (two.first.kvno, two.second.kvno) == (1, 1)


async def test_a_key_that_no_connector_has_is_the_directorys_trouble(
    corp: Corp, session: aiohttp.ClientSession
) -> None:
    with corp.sample_connector("--keytab", corp.keytab) as one, corp.sample_connector("--keytab", corp.keytab) as other:
        two = Two(session, corp, one.url, other.url)
        await two.are(GOOD, GOOD)
        await two.see(corp.rotate)
        await two.are(DIRECTORY, DIRECTORY)
        assert two.tickets.view()["reason"] == "spn_key_changed"
        assert two.tickets.view()["detail"] == ("all connectors refuse tickets of kvno 2, aes256-sha1; before it was 1")
        corp.realm.stop()
        await becomes(two.first, (True, "kdc_unreachable"))


async def test_a_new_key_that_one_connector_lacks_is_its_own_fault(corp: Corp, session: aiohttp.ClientSession) -> None:
    new = corp.rotate()
    with corp.sample_connector("--keytab", new) as one, corp.sample_connector("--keytab", corp.keytab) as other:
        two = Two(session, corp, one.url, other.url)
        await two.are(GOOD, (False, "connector_key"))


async def test_a_connector_that_refuses_what_another_takes_is_out_at_once(
    corp: Corp, session: aiohttp.ClientSession
) -> None:
    with corp.sample_connector("--keytab", corp.keytab) as one:
        with corp.sample_connector("--keytab", corp.keytab) as other:
            two = Two(session, corp, one.url, other.url)
            await two.are(GOOD, GOOD)
        wrong = corp.realm.add_service("HTTP/other.corp.example")
        with corp.sample_connector("--keytab", wrong, "--port", other.port):
            assert found(await two.first.run()) == GOOD
            await becomes(two.second, (False, "connector_key"))


async def test_when_some_have_the_new_key_the_others_are_to_blame(corp: Corp, session: aiohttp.ClientSession) -> None:
    with corp.sample_connector("--keytab", corp.keytab) as one:
        with corp.sample_connector("--keytab", corp.keytab) as other:
            two = Two(session, corp, one.url, other.url)
            await two.are(GOOD, GOOD)
            new = await two.see(corp.rotate)
            await two.are(DIRECTORY, DIRECTORY)
        with corp.sample_connector("--keytab", new, "--port", other.port):
            await two.are((False, "connector_key"), GOOD)
            assert two.tickets.votes.trouble is None


# --- the next process


async def test_a_verdict_lives_on_in_the_next_process_though_the_kdc_is_down(corp: Corp, probes: Probes) -> None:
    corp.rotate()
    with corp.sample_connector("--keytab", corp.keytab) as connector:
        before = probes(connector.url)
        assert found(await before.run()) == (False, "connector_key")
        corp.realm.stop()
        after, elsewhere = probes(connector.url), probes(connector.url.replace("127.0.0.1", "localhost"))
        for probe in (after, elsewhere):
            probe.remember(before.memory())
        assert found(await after.run()) == (False, "connector_key")
        assert found(await elsewhere.run()) == (True, "kdc_unreachable"), "it is another page"


async def test_what_else_is_known_lives_on(corp: Corp, probes: Probes) -> None:
    with corp.sample_connector("--keytab", corp.keytab, "--binds") as connector:
        before, after = probes(connector.url), probes(connector.url)
        assert found(await before.run()) == GOOD
    after.remember(before.memory())
    assert after.binds is True
    assert after.memory() == before.memory()


async def test_a_connector_that_says_what_is_wrong_with_its_key(corp: Corp, probes: Probes) -> None:
    other = corp.realm.add_service("HTTP/other.corp.example")
    corp.rotate()
    for keytab, text in (
        (corp.keytab, "it has no key of this version; the ticket has kvno 2"),
        (other, "it has no key of this service; the ticket has kvno 2"),
    ):
        with corp.telling_connector(keytab) as connector:
            result = await probes(connector.url).run()
        assert found(result) == (False, "connector_key")
        assert text in result.detail


async def test_a_connector_with_a_new_key_is_judged_by_a_new_ticket(corp: Corp, probes: Probes) -> None:
    with corp.sample_connector("--keytab", corp.keytab) as before:
        probe = probes(before.url)
        assert probe.kvno is None
        assert found(await probe.run()) == GOOD
        assert probe.kvno == 1
    new = corp.rotate()
    with corp.sample_connector("--keytab", new, "--port", before.port):
        assert found(await probe.run()) == GOOD
        assert probe.kvno == 2


async def test_a_new_key_that_no_new_ticket_can_be_had_for(corp: Corp, probes: Probes) -> None:
    with corp.sample_connector("--keytab", corp.keytab) as before:
        probe = probes(before.url)
        assert found(await probe.run()) == GOOD
    new = corp.rotate()
    corp.realm.stop()
    with corp.sample_connector("--keytab", new, "--port", before.port):
        assert found(await probe.run()) == (True, "kdc_unreachable")


@pytest.mark.parametrize("offset", ["-900s", "+900s"])
@pytest.mark.parametrize("tells", [True, False], ids=["KRB-ERROR", "Date"])
async def test_a_connector_with_a_wrong_clock(tells: bool, offset: str, corp: Corp, probes: Probes) -> None:
    wrong = clock(offset)
    connector = (
        corp.telling_connector(corp.keytab, **wrong)
        if tells
        else corp.sample_connector("--keytab", corp.keytab, **wrong)
    )
    with connector as running:
        result = await probes(running.url).run()
    assert found(result) == (False, "connector_clock_skew")
    assert re.search(r"\(it is (899|900|901|902) s (behind|ahead of) the KDC's\)", result.detail)
    assert ("ahead" in result.detail) is (offset[0] == "+")


async def test_a_connector_without_kerberos(corp: Corp, probes: Probes) -> None:
    with corp.sample_connector() as connector:
        result = await probes(connector.url).run()
    assert found(result) == (False, "mutual_token_missing")


async def test_a_connector_with_another_scheme(probes: Probes) -> None:
    other = answering(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n")
    async with listening(other) as port:
        assert found(await probes(f"http://127.0.0.1:{port}").run()) == (False, "connector_no_negotiate")


async def test_somebody_who_has_no_key_at_all(probes: Probes) -> None:
    forged = (
        b"HTTP/1.1 200 OK\r\nWWW-Authenticate: Negotiate oRQwEqADCgEAoQsGCSqGSIb3EgECAg==\r\nContent-Length: 0\r\n\r\n"
    )
    async with listening(answering(forged)) as port:
        assert found(await probes(f"http://127.0.0.1:{port}").run()) == (False, "mutual_token_wrong")


async def test_a_connector_that_hangs_and_goes_on(corp: Corp, probes: Probes) -> None:
    with corp.sample_connector("--keytab", corp.keytab) as connector:
        probe = probes(connector.url, timeout=0.5)
        await becomes(probe, GOOD)
        connector.process.send_signal(signal.SIGSTOP)
        result = await probe.run()
        assert found(result) == (False, "connector_hung")
        assert result.detail == "it does not answer (no answer within 0.5 s)"
        connector.process.send_signal(signal.SIGCONT)
        await becomes(probe, GOOD)


async def test_a_sign_in_is_good_whatever_becomes_of_the_look_at_binding(corp: Corp, probes: Probes) -> None:
    """The second request, which has no token, is never answered."""
    with corp.sample_connector("--keytab", corp.keytab) as connector:

        async def hang_without_token(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            upstream, sink = await asyncio.open_connection("127.0.0.1", connector.port)
            with closing(sink):
                sink.write(head)
                writer.write(await upstream.readuntil(b"\r\n\r\n"))
                await hanging(reader, writer)

        async with listening(hang_without_token) as port:
            probe = probes(f"http://127.0.0.1:{port}", timeout=0.5)
            await becomes(probe, GOOD)
            assert probe.binds is None


async def test_a_connector_that_is_not_there(probes: Probes) -> None:
    result = await probes(f"http://127.0.0.1:{unused_port()}").run()
    assert found(result) == (False, "connector_unreachable")
    assert result.detail == "no connection to it (connection refused)"
