from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from lbproxy.doctor.kerberos.kdc import ask_kdc
from lbproxy.doctor.kerberos.krb5_conf import read_krb5_conf
from tests.control.probes.kerberos.peers import PRINCIPAL, Corp, asked_of, clock


def port_of(corp: Corp) -> int:
    [kdc] = read_krb5_conf().kdcs(corp.realm.name)
    found = urlsplit(f"//{kdc}").port
    assert found is not None
    return found


@asynccontextmanager
async def answering(content: bytes) -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(4)
        writer.write(content)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_a_kdc_says_its_time_and_the_enctypes_of_an_account(corp: Corp) -> None:
    corp.kadmin_talks(f"modprinc +requires_preauth {PRINCIPAL}")
    found = await ask_kdc("127.0.0.1", port_of(corp), PRINCIPAL)
    assert found.error == 25
    assert found.enctypes == (18,)
    assert found.skew is not None
    assert abs(found.skew) < 30  # one clock, on a loaded machine


async def test_one_that_wants_no_proof_sends_a_ticket(corp: Corp) -> None:
    found = await ask_kdc("127.0.0.1", port_of(corp), PRINCIPAL)
    assert (found.skew, found.error, found.enctypes) == (None, 0, (18,))


async def test_the_clock_of_a_kdc_that_is_wrong(corp: Corp) -> None:
    corp.restart_kdc(clock("+3600s"))
    found = await ask_kdc("127.0.0.1", port_of(corp), "nobody@CORP.EXAMPLE")
    assert found.error == 6
    assert found.skew == pytest.approx(3600, abs=30)


async def test_nothing_is_proved_so_nothing_counts_against_the_account(corp: Corp) -> None:
    corp.kadmin_talks(f"modprinc +requires_preauth {PRINCIPAL}")
    await ask_kdc("127.0.0.1", port_of(corp), PRINCIPAL)
    assert asked_of(corp, "AS_REQ") == 1
    assert " PREAUTH_FAILED" not in (corp.realm.directory / "kdc.log").read_text()


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\0", b"\0\0\0\0", b"HTTP/1.1 400 Bad Request\r\n", b"\xff\xff\xff\xff", b"\0\0\0\x02\x7e\x00",
     b"\0\0\0\x05\x7e\x83\xff\xff\xff", b"\0\0\0\x04\x30\x02\x30\x00"],
)  # fmt: skip
async def test_what_is_no_kdc_is_told(content: bytes) -> None:
    async with answering(content) as port:
        with pytest.raises(ValueError, match=r"no KDC|without an answer"):
            await ask_kdc("127.0.0.1", port, PRINCIPAL)


async def test_nobody_is_an_error_of_the_system() -> None:
    async with answering(b"") as port:
        pass
    with pytest.raises(OSError, match="Connect call failed"):
        await ask_kdc("127.0.0.1", port, PRINCIPAL)
