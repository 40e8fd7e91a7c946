"""How many groups users are in, and how large that makes their tickets.

Measured with a real directory: a token without groups has some 1,400 bytes, a group of the user's own domain adds 8,
and one of another domain 40, since its whole SID is in the ticket (MS-PAC section 2.5).
"""

from __future__ import annotations

from typing import NamedTuple

from lbproxy.doctor.directory.errors import DirectoryError
from lbproxy.doctor.directory.session import Session

_EMPTY, _OWN, _OTHER = 1395, 8, 40  # bytes of a token

_USERS = "(&(objectCategory=person)(memberOf=*))"
_WITHIN = 2.0  # seconds that users are looked at
_CLOSER = 3  # users with the most groups, of whom those within groups are asked for too


_BUILTIN = "010200000000000520000000"
"""How SIDs of S-1-5-32 begin, such as Users: they are each server's own, and in no ticket."""


class Groups(NamedTuple):
    """Those of one user: of its own domain, and others."""

    name: str
    own: int
    other: int

    @property
    def total(self) -> int:
        return self.own + self.other

    @property
    def header(self) -> int:
        """Bytes of the token in a header: base64."""
        return (_EMPTY + _OWN * self.own + _OTHER * self.other + 2) // 3 * 4


def largest(directory: Session, base: str) -> tuple[Groups | None, int, bool]:
    """The user in the most groups, of how many users, and whether those are all. Raises DirectoryError."""
    entries, complete = directory.some(base, _USERS, ["sAMAccountName", "memberOf"], _WITHIN)
    entries.sort(key=lambda entry: -len(entry.get("memberof", ())))
    found = [
        groups_of(directory, base, entry["dn"][0], entry.get("samaccountname", entry["dn"])[0], len(entry["memberof"]))
        for entry in entries[:_CLOSER]
        if "memberof" in entry
    ]
    return max(found, key=lambda one: one.header, default=None), len(entries), complete


def groups_of(directory: Session, base: str, dn: str, name: str, direct: int = 0) -> Groups:
    """Those of the account at `dn`, with groups within groups (tokenGroups); if the directory has no such, `direct`."""
    try:
        told = directory.read(dn, ["tokenGroups"]).get("tokengroups", ())
        sids = [sid for sid in told if not sid.startswith(_BUILTIN)]
        domain = directory.read(base, ["objectSid"]).get("objectsid", [""])[0]
    except DirectoryError:
        sids, domain = [], ""
    if not sids:
        return Groups(name, direct, 0)
    own = sum(1 for sid in sids if domain and sid[:-8][4:] == domain[4:])  # without its count and its last number
    return Groups(name, own, len(sids) - own)
