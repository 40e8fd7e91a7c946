"""The keytabs of docs/kerberos.md: is the key in them the account's?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.active_directory import REALM, Domain

from ..programs import Ran, run

SPN = "HTTP/keytabs.test"
ACCOUNT = "svc-keytabs"


@pytest.fixture(scope="module")
def user(active_directory: Domain) -> dict[str, str]:
    """The environment of a user who asks for tickets of the service."""
    active_directory.add(ACCOUNT, spns=[SPN])
    return active_directory.kinit("alice")


async def proof(user: dict[str, str], keytab: Path) -> Ran:
    """Decrypt a ticket with what is in `keytab`."""
    return await run("env", *(f"{name}={value}" for name, value in user.items()), "kvno", "-k", str(keytab), SPN)


async def by_ktutil(corp: Domain, keytab: Path, *salt: str) -> None:
    entry = ["addent", "-password", "-p", f"{SPN}@{REALM}", "-k", "1", "-e", "aes256-cts-hmac-sha1-96", *salt]
    typed = "\n".join([" ".join(entry), corp.passwords[ACCOUNT], f"wkt {keytab}", ""])
    ran = await run("env", f"KRB5_CONFIG={corp.configuration}", "ktutil", typed=typed.encode())
    assert keytab.exists(), ran


async def test_samba_tool(active_directory: Domain, user: dict[str, str]) -> None:
    ran = await proof(user, active_directory.keytab(SPN))
    assert (ran.status, ran.out) == (0, f"{SPN}@{REALM}: kvno = 1, keytab entry valid\n")


async def test_ktutil_with_the_salt_of_the_account(
    active_directory: Domain, user: dict[str, str], tmp_path: Path
) -> None:
    await by_ktutil(active_directory, tmp_path / "keytab", "-s", f"{REALM}{ACCOUNT}")
    ran = await proof(user, tmp_path / "keytab")
    assert (ran.status, ran.out) == (0, f"{SPN}@{REALM}: kvno = 1, keytab entry valid\n")


async def test_ktutil_without_it_writes_a_wrong_key(
    active_directory: Domain, user: dict[str, str], tmp_path: Path
) -> None:
    await by_ktutil(active_directory, tmp_path / "keytab")
    ran = await proof(user, tmp_path / "keytab")
    assert ran.status == 1
    assert "kvno = 1, keytab entry invalid" in ran.err
