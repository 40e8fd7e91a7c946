from __future__ import annotations

import asyncio
import logging
import threading
import time
import traceback
from contextlib import suppress
from queue import Queue

import gssapi
import pytest

from lbproxy.control.probes.kerberos.credentials import Handshake, Ticket
from lbproxy.control.probes.kerberos.failures import Failure, KerberosFailure
from lbproxy.control.probes.kerberos.tickets import Tickets
from lbproxy.control.probes.kerberos.tokens import TicketKey

UNREACHABLE = KerberosFailure(Failure.KDC_UNREACHABLE, "Cannot contact any KDC")
UNKNOWN = KerberosFailure(Failure.SPN_UNKNOWN, "Server HTTP/x not found")


class Token(Handshake):
    """A token that names its ticket."""

    def __init__(self, ticket: Ticket) -> None:
        self.token = str(id(ticket)).encode()


class Good(Ticket):
    """A ticket without a realm behind it."""

    def initiate(self) -> Handshake:
        return Token(self)


class Useless(Ticket):
    def initiate(self) -> Handshake:
        raise UNREACHABLE


class Hanging(Ticket):
    end = threading.Event()

    def initiate(self) -> Handshake:
        self.end.wait()
        raise UNREACHABLE


def make(kind: type[Ticket] = Good, life: float = 3600.0) -> Ticket:
    now = time.monotonic()
    return kind(gssapi.Name("HTTP/x"), "MEMORY:none", key=TicketKey(1, 18), fetched=now, expires=now + life, skew=0.0)


class Kdc:
    """A login whose KDC answers what is put into `answers`, and not before."""

    def __init__(self, *answers: Ticket | KerberosFailure) -> None:
        self.answers: Queue[Ticket | KerberosFailure] = Queue()
        for answer in answers:
            self.answers.put(answer)
        self.asked = threading.Semaphore(0)
        self.questions = 0

    def fetch(self) -> Ticket:
        self.questions += 1
        self.asked.release()
        answer = self.answers.get()
        if isinstance(answer, KerberosFailure):
            raise answer
        return answer


def tickets(kdc: Kdc, patience: float = 20.0, refresh: float = 3600.0, fresh: float = 0.0) -> Tickets:
    return Tickets("connectors", kdc, patience, refresh, fresh)  # type: ignore[arg-type]  # a KDC as this test likes it


async def fails(tickets: Tickets) -> Failure:
    with pytest.raises(KerberosFailure) as caught:
        await tickets.get()
    return caught.value.failure


async def test_many_probes_ask_once() -> None:
    kdc = Kdc()
    pool = tickets(kdc)
    probes = [asyncio.ensure_future(pool.get()) for _ in range(50)]
    await asyncio.to_thread(kdc.asked.acquire)
    ticket = make()
    kdc.answers.put(ticket)
    assert all(got is ticket for got in await asyncio.gather(*probes))
    assert await pool.get() is ticket
    assert kdc.questions == 1


async def test_the_next_ticket_is_fetched_while_this_one_is_used() -> None:
    first, second = make(), make()
    kdc = Kdc(first)
    pool = tickets(kdc, refresh=0.0)
    assert await pool.get() is first
    assert await pool.get() is first  # it has asked for the second and did not wait for it
    kdc.answers.put(second)
    while (got := await pool.get()) is first:
        assert pool.trouble is None
        await asyncio.sleep(0)
    assert got is second


async def test_a_short_ticket_is_renewed_at_half_of_its_life() -> None:
    first, second = make(life=1.0), make()
    pool = tickets(Kdc(first, second))
    while (got := await pool.get()) is first:
        assert time.monotonic() < first.expires
        await asyncio.sleep(0.01)
    assert got is second


async def test_without_a_ticket_the_trouble_is_raised() -> None:
    pool = tickets(Kdc(UNKNOWN))
    assert await fails(pool) is Failure.SPN_UNKNOWN
    assert pool.view()["reason"] == "spn_unknown"
    assert pool.view()["reason_text"] == "the KDC knows no service of this SPN"
    assert pool.view()["detail"] == "Server HTTP/x not found"
    assert 0 <= pool.view()["since_seconds"] < 60


async def test_a_kdc_is_not_asked_again_at_once() -> None:
    kdc = Kdc(UNREACHABLE)
    pool = tickets(kdc, fresh=3600.0)
    for _ in range(5):
        assert await fails(pool) is Failure.KDC_UNREACHABLE
    assert kdc.questions == 1


async def test_a_kdc_that_hangs_is_waited_for_once() -> None:
    kdc = Kdc()
    pool = tickets(kdc, patience=0.2)
    for _ in range(20):
        assert await fails(pool) is Failure.KDC_UNREACHABLE
    assert pool.view()["detail"] == "no answer within 0.2 s"
    assert kdc.questions == 1
    ticket = make()
    kdc.answers.put(ticket)
    while pool.trouble is not None:
        with suppress(KerberosFailure):
            assert await pool.get() is ticket
        await asyncio.sleep(0)


async def test_while_the_kdc_is_away_the_ticket_goes_on_being_used() -> None:
    ticket = make()
    pool = tickets(Kdc(ticket, UNREACHABLE), refresh=0.0)
    while pool.trouble is None:
        assert await pool.get() is ticket
        await asyncio.sleep(0)
    assert await pool.get() is ticket
    assert pool.view()["reason"] == "kdc_unreachable"


async def test_a_kdc_that_hangs_is_noticed_though_the_ticket_is_good() -> None:
    ticket = make()
    pool = tickets(Kdc(ticket), refresh=0.0, patience=0.05)
    while pool.trouble is None:
        assert await pool.get() is ticket
        await asyncio.sleep(0)
    assert pool.trouble.failure is Failure.KDC_UNREACHABLE


async def test_an_expired_ticket_is_not_used() -> None:
    pool = tickets(Kdc(make(life=0.0), UNREACHABLE))
    with pytest.raises(KerberosFailure):
        await pool.get()
    assert await fails(pool) is Failure.KDC_UNREACHABLE


async def test_a_refused_ticket_is_replaced() -> None:
    first, second = make(), make()
    pool = tickets(Kdc(first, second))
    assert await pool.get() is first
    assert await pool.newer(first) is second
    assert await pool.newer(first) is second  # another connector refused it meanwhile


async def test_a_refused_ticket_that_is_fresh_is_kept() -> None:
    kdc = Kdc(make())
    pool = tickets(kdc, fresh=3600.0)
    ticket = await pool.get()
    assert await pool.newer(ticket) is ticket
    assert kdc.questions == 1


async def test_a_refused_ticket_that_cannot_be_replaced() -> None:
    ticket = make()
    pool = tickets(Kdc(ticket, UNREACHABLE))
    await pool.get()
    with pytest.raises(KerberosFailure) as caught:
        await pool.newer(ticket)
    assert (caught.value.failure, caught.value.detail) == (UNREACHABLE.failure, UNREACHABLE.detail)
    assert await pool.get() is ticket


async def test_trouble_may_last_for_ever() -> None:
    """An exception that is raised again and again would collect frames."""
    pool = tickets(Kdc(UNREACHABLE), fresh=3600.0)
    lengths = []
    for _ in range(3):
        with pytest.raises(KerberosFailure) as caught:
            await pool.get()
        lengths.append(len(list(traceback.walk_tb(caught.tb))))
    assert lengths[0] == lengths[1] == lengths[2]


async def test_a_token() -> None:
    ticket = make()
    pool = tickets(Kdc(ticket))
    assert (await pool.handshake(await pool.get())).token == ticket.initiate().token


async def test_a_ticket_that_makes_no_token_is_thrown_away() -> None:
    useless, good = make(Useless), make()
    pool = tickets(Kdc(useless, good))
    with pytest.raises(KerberosFailure):
        await pool.handshake(await pool.get())
    assert await pool.get() is good


async def test_a_token_that_hangs() -> None:
    pool = tickets(Kdc(make(Hanging)), patience=0.05)
    with pytest.raises(KerberosFailure) as caught:
        await pool.handshake(await pool.get())
    assert (caught.value.failure, caught.value.detail) == (Failure.KDC_UNREACHABLE, "no token within 0.05 s")
    Hanging.end.set()


async def test_trouble_is_logged_when_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    kdc = Kdc(UNREACHABLE, UNREACHABLE, UNKNOWN, make())
    pool = tickets(kdc)
    for _ in range(3):
        await fails(pool)
    await pool.get()
    assert [(record.levelname, record.message, vars(record)["fields"]) for record in caplog.records] == [
        ("WARNING", "kerberos_trouble", logged(UNREACHABLE)),
        ("WARNING", "kerberos_trouble", logged(UNKNOWN)),
        ("INFO", "kerberos_trouble_over", {"pool": "connectors"}),
    ]


def logged(failure: KerberosFailure) -> dict[str, str]:
    return {"pool": "connectors", "reason": failure.failure.label, "detail": str(failure)}
