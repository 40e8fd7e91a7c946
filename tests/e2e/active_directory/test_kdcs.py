"""What lbproxy says of the KDCs: one of two dead or frozen, none left, another clock, other encryption types."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.active_directory import Controller, Domain
from tests.control.probes.kerberos.peers import clock

from ..balancer import running
from ..configuration import configuration
from ..instance import Instance
from ..surroundings import Surroundings
from . import causes
from .causes import Probe


@pytest.fixture(scope="module")
def probe(active_directory: Domain, connectors: list[Instance]) -> Probe:
    """One that signs in at the connectors, which have the keytab."""
    principal = active_directory.add("p-kdcs")
    return Probe(principal, active_directory.keytab("p-kdcs"), "HTTP/login.test", Path("/dev/null"))


async def status(krb5_conf: Path, probe: Probe, connectors: list[Instance], folder: Path) -> tuple[str | None, str]:
    """The reason and the detail of a balancer's only pool, once it has probed; no connector is ever out."""
    members = [(one.name, one.url) for one in connectors]
    config = configuration(folder, members, pool={"check": probe.check()})
    around = Surroundings(environment={"KRB5_CONFIG": str(krb5_conf)})
    async with running(config, folder, around=around) as balancer:
        snapshot = await balancer.until(lambda status: all(one["probe"] for one in status["pools"][0]["backends"]))
    [pool] = snapshot["pools"]
    assert {backend["state"] for backend in pool["backends"]} == {"up"}, pool
    return pool["tickets"]["reason"], pool["tickets"]["detail"]


@contextmanager
def frozen(controller: Controller) -> Iterator[None]:
    """It takes connections, and answers nothing."""
    controller.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        controller.signal(signal.SIGCONT)


async def test_the_second_kdc_answers_where_the_first_is_dead(
    active_directory: Domain, connectors: list[Instance], probe: Probe, directory: Path
) -> None:
    with active_directory.another_kdc() as dead:
        both = active_directory.krb5_conf(dead.address, active_directory.first.address)
    assert await status(both, probe, connectors, directory) == (None, "")


async def test_the_second_kdc_answers_where_the_first_is_frozen(
    active_directory: Domain, connectors: list[Instance], probe: Probe, directory: Path
) -> None:
    """The library waits for it, ten seconds for each of two questions; connectors are not blamed for that."""
    with active_directory.another_kdc() as hung, frozen(hung):
        both = active_directory.krb5_conf(hung.address, active_directory.first.address)
        assert await status(both, probe, connectors, directory) == (None, "")


async def test_no_kdc_is_left(
    active_directory: Domain, connectors: list[Instance], probe: Probe, directory: Path
) -> None:
    with active_directory.another_kdc() as dead:
        alone = active_directory.krb5_conf(dead.address)
    reason, detail = await status(alone, probe, connectors, directory)
    assert (reason, detail) == ("kdc_unreachable", "Cannot contact any KDC for realm 'CORP.EXAMPLE'")


@pytest.mark.parametrize(("offset", "how"), [("+3600s", "ahead of"), ("-3600s", "behind")])
async def test_the_kdc_has_another_clock(
    active_directory: Domain, connectors: list[Instance], probe: Probe, directory: Path, offset: str, how: str
) -> None:
    with active_directory.another_kdc(clock(offset)) as other:
        alone = active_directory.krb5_conf(other.address)
        reason, detail = await status(alone, probe, connectors, directory)
    assert (reason, detail) == ("kdc_clock_skew", f"the KDC's is 3600 s {how} this machine's")


async def test_the_service_has_rc4_only_and_this_machine_refuses_it(
    active_directory: Domain, connectors: list[Instance], directory: Path
) -> None:
    """As where FIPS is on."""
    strict = active_directory.krb5_conf(permitted_enctypes="aes256-cts aes128-cts")
    rc4 = causes.service_rc4_only(active_directory, "rc4-strict")
    reason, detail = await status(strict, rc4, connectors, directory)
    assert (reason, detail) == ("enctype_refused", "KDC has no support for encryption type")
