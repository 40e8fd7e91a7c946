"""Each failure of the directory that administrators meet has its name in the status, and ejects only whom it should.

docs/kerberos.md has the same table.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from tests.active_directory import Domain
from tests.control.probes.kerberos.peers import clock

from ..balancer import running
from ..configuration import configuration
from ..direct_auth.apache import apache
from ..direct_auth.place import Place
from ..instance import Instance
from ..surroundings import Surroundings
from . import causes
from .causes import Cause, Probe
from .conftest import started

PATIENCE = 60.0
"""Seconds for all failures to be found."""

CONNECTORS = ("f1", "f2")
"""Those of a row: they have the keys that its service had before the failure."""


class Row(NamedTuple):
    """What the status says of a pool: `reason` is None if its probes sign in, and `detail` has these words."""

    cause: Cause
    reason: str | None
    detail: str = ""


TABLE = {
    "sound": Row(causes.sound, None),
    "disabled": Row(causes.disabled, "probe_account_disabled", "NTSTATUS 0xc0000072"),
    "expired": Row(causes.expired, "probe_account_expired", "NTSTATUS 0xc0000193"),
    "no-hours": Row(causes.no_hours, "probe_account_restricted", "NTSTATUS 0xc000006f"),
    "must-change": Row(causes.must_change, "probe_password_expired", "NTSTATUS 0xc0000224"),
    "locked": Row(causes.locked, "probe_account_revoked", "credentials have been revoked"),
    "probe-key": Row(causes.probe_password_changed, "probe_key_wrong", "Preauthentication failed"),
    "probe-spn": Row(causes.principal_is_an_spn, "probe_principal_unknown", "not found in Kerberos database"),
    "spn-missing": Row(causes.spn_missing, "spn_unknown", "Server not found in Kerberos database"),
    "spn-twice": Row(causes.spn_on_two_accounts, "spn_unknown", "Server not found in Kerberos database"),
    "spn-moved": Row(causes.spn_moved, "spn_key_changed", "all connectors refuse tickets of kvno 1, aes256-sha1"),
    "new-key": Row(causes.service_password_changed, "spn_key_changed", "refuse tickets of kvno 2, aes256-sha1"),
    "rc4-only": Row(causes.service_rc4_only, "spn_key_changed", "all connectors refuse tickets of kvno 1, rc4"),
    "service-off": Row(causes.service_disabled, None),
}

ONE = {
    "old-keytab": ("connector_key", "the ticket has kvno 2, aes256-sha1"),
    "slow-clock": ("connector_clock_skew", "it is 3600 s behind the KDC's"),
}
"""What is wrong with one connector of two, and what the status says of it."""

ONE_HAS_THE_KEY = "one-has-key"
"""A service whose new keytab only one connector has."""


@pytest.fixture(scope="module")
def probes(active_directory: Domain) -> dict[str, Probe]:
    """Causes all failures."""
    rows = {name: row.cause(active_directory, name) for name, row in TABLE.items()}
    return rows | {ONE_HAS_THE_KEY: causes.service_password_changed(active_directory, ONE_HAS_THE_KEY)}


@pytest.fixture(scope="module")
def old_keys(active_directory: Domain, probes: dict[str, Probe]) -> Iterator[Place]:
    """The connectors' files, with the keys of all services from before the failures."""
    folder = active_directory.folder / "connectors"
    folder.mkdir()
    keytab = causes.merged((probe.service_keytab for probe in probes.values()), folder / "all.keytab")
    yield Place.prepare(folder, active_directory.configuration, keytab, {})
    shutil.rmtree(folder)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def members(
    active_directory: Domain, old_keys: Place, probes: dict[str, Probe]
) -> AsyncIterator[dict[str, Instance]]:
    """By their names; "new" has the keytab that the others lack, and the clock of "slow" is an hour behind."""
    old = [apache(name, old_keys, bound=True) for name in CONNECTORS]
    slow = apache("slow", old_keys, bound=True, environment=clock("-3600s"))
    new = apache("new", old_keys, bound=True)
    old_keys.keytab("new", active_directory.keytab(probes[ONE_HAS_THE_KEY].spn))
    async with started(*old, slow, new) as instances:
        yield {instance.name: instance for instance in instances}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def found(
    active_directory: Domain, members: dict[str, Instance], probes: dict[str, Probe], tmp_path_factory: Any
) -> dict[str, dict[str, Any]]:
    """The pools in the status of one balancer, by name."""
    folder = tmp_path_factory.mktemp("failing")
    config = configuration(folder, [(name, members[name].url) for name in CONNECTORS])
    pools = {name: (CONNECTORS, probes[name]) for name in TABLE}
    pools["old-keytab"] = ("new", "f1"), probes[ONE_HAS_THE_KEY]
    pools["slow-clock"] = ("f1", "slow"), probes["sound"]
    for name, (names, probe) in pools.items():
        backends = [{"name": one, "url": members[one].url} for one in names]
        config["pool"][name] = {"backends": backends, "check": probe.check()}
    around = Surroundings(environment={"KRB5_CONFIG": str(active_directory.configuration)})
    async with running(config, folder, around=around) as balancer:
        with suppress(TimeoutError):  # each test says what is missing
            async with asyncio.timeout(PATIENCE):
                await balancer.until(lambda status: all(map(_as_expected, status["pools"])))
        return {pool["name"]: pool for pool in (await balancer.status())["pools"]}


def _as_expected(pool: dict[str, Any]) -> bool:
    """Whether every connector has been judged; the first that refuses a key is out until the others were asked."""
    states = [backend["state"] for backend in pool["backends"]]
    if row := TABLE.get(pool["name"]):
        return pool["tickets"]["reason"] == row.reason and _all_say(pool, row.reason) and states == ["up", "up"]
    return pool["name"] not in ONE or (states == ["up", "down"] and pool["backends"][1]["probe"] is not None)


def _all_say(pool: dict[str, Any], reason: str | None) -> bool:
    probes = [backend["probe"] for backend in pool["backends"]]
    return all(probe and (probe["ok"], probe["reason"]) == (True, reason) for probe in probes)


@pytest.mark.parametrize("name", TABLE)
async def test_a_failure_of_the_directory_has_its_name_and_ejects_no_connector(
    found: dict[str, dict[str, Any]], name: str
) -> None:
    row, pool = TABLE[name], found[name]
    assert pool["tickets"]["reason"] == row.reason
    assert row.detail in pool["tickets"]["detail"]
    assert [backend["state"] for backend in pool["backends"]] == ["up", "up"]
    assert _all_say(pool, row.reason)


@pytest.mark.parametrize("name", ONE)
async def test_a_connector_at_fault_is_ejected_alone(found: dict[str, dict[str, Any]], name: str) -> None:
    reason, detail = ONE[name]
    good, bad = found[name]["backends"]
    assert (good["state"], good["probe"]["reason"]) == ("up", None)
    assert (bad["state"], bad["probe"]["reason"]) == ("down", reason)
    assert detail in bad["probe"]["detail"], bad
    assert found[name]["tickets"]["reason"] is None
