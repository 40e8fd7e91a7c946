"""Failures that are caused in the directory, and the configuration of the pool whose probe meets each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.active_directory import DISABLED, ENABLED, FOREVER, LOCKED_AFTER, RC4, Domain

LONG_AGO = 130_000_000_000_000_000  # as a FILETIME: in 2012
NEVER = bytes(21)  # as logonHours: a bit for each hour of the week

Cause = Callable[[Domain, str], "Probe"]


@dataclass(frozen=True)
class Probe:
    """With which key a probe signs in, and for which service; `service_keytab` is what the connectors have of that."""

    principal: str
    keytab: Path
    spn: str
    service_keytab: Path

    def check(self) -> dict[str, Any]:
        """Of a pool."""
        kerberos = {"principal": self.principal, "keytab": str(self.keytab), "spn": self.spn.replace("/", "@")}
        return {"kind": "kerberos", "path": "/wsfed", "timeout": "10s", "interval": "1s", "kerberos": kerberos}


def merged(keytabs: Iterable[Path], into: Path) -> Path:
    """One keytab with the keys of all: a keytab is its version, which has two bytes, and entries."""
    files = [keytab.read_bytes() for keytab in keytabs]
    into.write_bytes(files[0][:2] + b"".join(file[2:] for file in files))
    return into


# --- accounts of probes


def sound(corp: Domain, name: str) -> Probe:
    """A probe and a service with accounts of their own, of which nothing is wrong."""
    spn = f"HTTP/{name}.test"
    principal = corp.add(f"p-{name}")
    corp.add(f"s-{name}", spns=[spn])
    return Probe(principal, corp.keytab(f"p-{name}"), spn, corp.keytab(spn))


def account(attribute: str, value: object) -> Cause:
    """The account of the probe has `value` of `attribute`."""

    def cause(corp: Domain, name: str) -> Probe:
        probe = sound(corp, name)
        corp.set(f"p-{name}", attribute, value)
        return probe

    return cause


disabled = account("userAccountControl", ENABLED | FOREVER | DISABLED)
expired = account("accountExpires", LONG_AGO)
no_hours = account("logonHours", NEVER)


def must_change(corp: Domain, name: str) -> Probe:
    """Its password must be changed at the next sign-in."""
    probe = sound(corp, name)
    corp.set(f"p-{name}", "userAccountControl", ENABLED)
    corp.set(f"p-{name}", "pwdLastSet", 0)
    return probe


def locked(corp: Domain, name: str) -> Probe:
    """Somebody tried wrong passwords."""
    probe = sound(corp, name)
    for _ in range(LOCKED_AFTER):
        assert "Password incorrect" in corp.kinit_fails(f"p-{name}", "a guess")
    assert "revoked" in corp.kinit_fails(f"p-{name}", "a guess")
    return probe


def probe_password_changed(corp: Domain, name: str) -> Probe:
    """Its keytab was not exported again."""
    probe = sound(corp, name)
    corp.set_password(f"p-{name}", "Another secret 2")
    return probe


def principal_is_an_spn(corp: Domain, name: str) -> Probe:
    """An SPN is no name to sign in with, though its key is in the keytab."""
    probe = sound(corp, name)
    return Probe(f"{probe.spn}@CORP.EXAMPLE", probe.service_keytab, probe.spn, probe.service_keytab)


# --- the service's account and its SPN


def spn_missing(corp: Domain, name: str) -> Probe:
    """It was taken away from the account."""
    probe = sound(corp, name)
    corp.set(f"s-{name}", "servicePrincipalName")
    return probe


def spn_on_two_accounts(corp: Domain, name: str) -> Probe:
    """A second controller was given it before it heard of the first one: the directory refuses it otherwise."""
    probe = sound(corp, name)
    corp.add(f"t-{name}")
    corp.set(f"t-{name}", "servicePrincipalName", probe.spn, by_force=True)
    return probe


def spn_moved(corp: Domain, name: str) -> Probe:
    """To another account, whose keytab the connectors do not have."""
    probe = sound(corp, name)
    corp.set(f"s-{name}", "servicePrincipalName")
    corp.add(f"t-{name}", spns=[probe.spn])
    return probe


def service_password_changed(corp: Domain, name: str) -> Probe:
    """The connectors' keytab was not exported again."""
    probe = sound(corp, name)
    corp.set_password(f"s-{name}", "Another secret 2")
    return probe


def service_rc4_only(corp: Domain, name: str) -> Probe:
    """The account was told to use RC4 and nothing else after the connectors' keytab was exported, with AES."""
    probe = sound(corp, name)
    corp.set(f"s-{name}", "msDS-SupportedEncryptionTypes", RC4)
    return probe


def service_disabled(corp: Domain, name: str) -> Probe:
    """Samba goes on giving out tickets for it."""
    probe = sound(corp, name)
    corp.set(f"s-{name}", "userAccountControl", ENABLED | FOREVER | DISABLED)
    return probe
