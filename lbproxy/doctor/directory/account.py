"""An account of Active Directory, as its attributes say (MS-ADTS, MS-KILE)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lbproxy.doctor.directory.session import Entry

ATTRIBUTES = (
    "cn", "sAMAccountName", "userPrincipalName", "servicePrincipalName", "userAccountControl", "lockoutTime",
    "accountExpires", "pwdLastSet", "msDS-SupportedEncryptionTypes", "msDS-KeyVersionNumber",
    "msDS-UserPasswordExpiryTimeComputed", "msDS-User-Account-Control-Computed", "memberOf",
)  # fmt: skip
"""What is asked for."""

_DISABLED, _LOCKED, _DES_ONLY, _EXPIRED = 0x2, 0x10, 0x200000, 0x800000  # MS-ADTS section 2.2.16
_RC4, _AES = 0x4, 0x18  # MS-KILE section 2.2.7
_EPOCH = 11_644_473_600  # seconds from 1601 to 1970
_NEVER = 0x7FFF_FFFF_FFFF_FFFF


@dataclass(frozen=True, slots=True)
class Account:
    """`entry` as the directory gave it."""

    entry: Entry

    @property
    def name(self) -> str:
        """For people: sAMAccountName, with the DN."""
        return f"{self._text('sAMAccountName') or self._text('cn')} ({self._text('dn')})"

    @property
    def short(self) -> str:
        """sAMAccountName, as commands take it."""
        return self._text("sAMAccountName")

    @property
    def dn(self) -> str:
        return self._text("dn")

    @property
    def direct_groups(self) -> int:
        """How many groups it is in itself."""
        return len(self._values("memberOf"))

    @property
    def kvno(self) -> int | None:
        """The version of its key, if the directory tells."""
        return self._number("msDS-KeyVersionNumber")

    @property
    def enctypes(self) -> int | None:
        """The bits of msDS-SupportedEncryptionTypes; None is the domain's default, as 0 is."""
        return self._number("msDS-SupportedEncryptionTypes") or None

    @property
    def is_rc4_only(self) -> bool:
        return self.enctypes is not None and not self.enctypes & _AES and bool(self.enctypes & _RC4)

    def faults(self, now: float) -> Iterator[tuple[str, str]]:
        """Why it cannot be used at `now` (seconds since the epoch): the reason, and the command that helps."""
        flags = (self._number("userAccountControl") or 0) | (self._number("msDS-User-Account-Control-Computed") or 0)
        if flags & _DISABLED:
            yield "is disabled", f"Enable-ADAccount {self.short}"
        if flags & _LOCKED or (self._computed is None and (self._number("lockoutTime") or 0) > 0):
            yield "is locked", f"Unlock-ADAccount {self.short}; look for who tries a wrong key (badPwdCount)"
        if (ends := self._when("accountExpires")) is not None and ends <= now:
            yield "expired", f"Clear-ADAccountExpiration {self.short}"
        if flags & _EXPIRED:
            yield "has a password that expired", f"Set-ADUser {self.short} -PasswordNeverExpires $true"
        if self._number("pwdLastSet") == 0:
            yield "has to change its password", f"Set-ADUser {self.short} -ChangePasswordAtLogon $false"
        if flags & _DES_ONLY:
            yield "has keys of DES only", f"Set-ADAccountControl {self.short} -UseDESKeyOnly $false"

    def ends(self, now: float) -> float | None:
        """In how many seconds its password or the account ends; None: never, or it is not known."""
        found = (self._when("accountExpires"), self._when("msDS-UserPasswordExpiryTimeComputed"))
        return min((one - now for one in found if one is not None), default=None)

    @property
    def _computed(self) -> int | None:
        return self._number("msDS-User-Account-Control-Computed")

    def _values(self, name: str) -> Sequence[str]:
        return self.entry.get(name.lower(), ())

    def _text(self, name: str) -> str:
        return next(iter(self._values(name)), "")

    def _number(self, name: str) -> int | None:
        text = self._text(name)
        return int(text) if text.lstrip("-").isdecimal() else None

    def _when(self, name: str) -> float | None:
        """A FILETIME (MS-DTYP section 2.3.3) as seconds since the epoch; None: never."""
        number = self._number(name)
        return None if number in (None, 0, _NEVER) or number is None else number / 10_000_000 - _EPOCH
