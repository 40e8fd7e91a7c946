"""The sign-ins of a process, so that all pools with one account ask the KDC once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lbproxy.control.probes.kerberos.memory import SignInMemory

if TYPE_CHECKING:
    from lbproxy.control.probes.kerberos.sign_in import SignIn


class SignIns:
    """Those of a process. Two that have the principal and the keytab in common are one."""

    def __init__(self, left: Mapping[str, SignInMemory] | None = None) -> None:
        """left: the `memory` of the process before this one."""
        self._left = left or {}
        self._made: dict[str, SignIn] = {}

    def __repr__(self) -> str:
        return f"<sign-ins {list(self._made.values())}>"

    def of(self, principal: str, keytab: Path) -> SignIn:
        """The one of `principal` with `keytab`. Raises MissingExtraError."""
        key = f"{principal} {keytab}"
        if key not in self._made:
            from lbproxy.control.probes.kerberos.sign_in import SignIn  # only here: it needs an optional dependency

            self._made[key] = SignIn(principal, keytab)
            if key in self._left:
                self._made[key].remember(self._left[key])
        return self._made[key]

    def memory(self) -> dict[str, SignInMemory]:
        """For the next process."""
        return {key: one.memory() for key, one in self._made.items()}

    def retire(self) -> None:
        """The next process signs in from now on."""
        for one in self._made.values():
            one.retire()
