"""What is asked of a directory in one go. Everything here blocks, so it is run in a process of its own (`apart`)."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from typing import NamedTuple

from lbproxy.doctor.directory.account import ATTRIBUTES, Account
from lbproxy.doctor.directory.errors import DirectoryError
from lbproxy.doctor.directory.groups import Groups, groups_of, largest
from lbproxy.doctor.directory.session import Session, Simple, session


class Known(NamedTuple):
    """What the directory says of one pool's service and probe, and of its users. `url` is where it was asked.

    `holders` have the SPN, `hosts` the same with HOST/. `largest` is the user in the most groups, of so many `users`,
    which are all or not.
    """

    url: str
    holders: Sequence[Account]
    hosts: Sequence[Account]
    probe: Account | None
    probe_groups: Groups | None
    largest: Groups | None
    users: int
    all_users: bool


def look(url: str, service: str, principal: str) -> Known:
    """service: as in HTTP/login.corp.example. With the ticket in KRB5CCNAME. Raises DirectoryError."""
    with session(url, None, raw=["tokenGroups", "objectSid"]) as directory:
        root = directory.read("", ["defaultNamingContext", "namingContexts"])
        bases = [*root.get("defaultnamingcontext", ()), *root.get("namingcontexts", ())]
        if not bases:
            raise DirectoryError("it does not say what it holds")
        base, name = bases[0], service.partition("/")[2]
        holders = _accounts(directory, base, f"(servicePrincipalName={escaped(service)})")
        hosts = _accounts(directory, base, f"(servicePrincipalName=HOST/{escaped(name)})")
        probe = next(iter(_accounts(directory, base, _is(principal))), None)
        most, users, complete = largest(directory, base)
        groups = None
        if probe is not None:
            groups = groups_of(directory, base, probe.dn, probe.short, probe.direct_groups)
        return Known(url, holders, hosts, probe, groups, most, users, complete)


def finds_users(
    url: str, user: str, password: str, authorities: str, base: str, heartbeat: str, everybody: str
) -> bool:
    """Signs in and searches as a connector does. authorities: PEM. Raises DirectoryError, after the sign-in too."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(authorities)
        file.flush()
        with session(url, Simple(user, password), file.name if url.startswith("ldaps") else None) as directory:
            directory.search(base, heartbeat, ["cn"])
            return directory.holds(base, everybody)


def _accounts(directory: Session, base: str, condition: str) -> list[Account]:
    return [Account(entry) for entry in directory.search(base, condition, ATTRIBUTES) if entry]


def _is(principal: str) -> str:
    """As directories know a principal: by its UPN, its name, or one of its SPNs."""
    name = escaped(principal.rpartition("@")[0])
    return f"(|(userPrincipalName={escaped(principal)})(sAMAccountName={name})(servicePrincipalName={name}))"


def escaped(text: str) -> str:
    """For a filter (RFC 4515 section 3)."""
    return re.sub(r"[\\*()\0]", lambda one: f"\\{ord(one[0]):02x}", text)
