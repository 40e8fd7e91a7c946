"""What a look at a configuration's files has found."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from lbproxy.auth.library import x509
from lbproxy.errors import Problem
from lbproxy.net.tls import certificates

EXPIRES_SOON = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Expiry:
    """When `what`, in a file that the key `where` names, ends. `left` is negative once it has ended."""

    where: str
    what: str
    expires: datetime
    left: timedelta


@dataclass(slots=True)
class Report:
    """What is true at `now` (aware): `problems` prevent a start, `warnings` do not; `expiries` has what may expire.

    `tolerated` are problems that fail a check and are warnings at a start: those of files that are named and not used,
    and those of files that are replaced while lbproxy runs, as revocation lists are. `made_at_start`: see `will_make`.
    """

    now: datetime
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    made_at_start: tuple[Path, ...] = ()
    tolerated: list[Problem] = field(default_factory=list)
    expiries: list[Expiry] = field(default_factory=list)

    def will_make(self, path: Path) -> bool:
        """Whether `path` is below a directory that is not there, and that the service manager makes at the start."""
        return any(directory in path.parents and not directory.exists() for directory in self.made_at_start)

    def of_unused(self) -> Report:
        """This report for what the configuration has and does not use."""
        return Report(self.now, problems=self.tolerated, warnings=self.warnings, expiries=self.expiries)

    def problem(self, where: str, text: str) -> None:
        self.problems.append(Problem(where, text))

    def tolerate(self, where: str, text: str) -> None:
        self.tolerated.append(Problem(where, text))

    def warning(self, where: str, text: str) -> None:
        self.warnings.append(Problem(where, text))

    def certificate(self, where: str, found: x509.Certificate) -> str | None:
        """Take down when the certificate ends; why it is of no use now, if it is not."""
        what = f"certificate of {certificates.subject(found)}"
        return self._validity(where, what, found.not_valid_before_utc, found.not_valid_after_utc)

    def revocation_list(self, where: str, found: x509.CertificateRevocationList) -> str | None:
        """The same for a revocation list, which says when the next one comes."""
        assert found.next_update_utc is not None, "others are refused"
        what = f"revocation list of {certificates.issuer(found)}"
        return self._validity(where, what, found.last_update_utc, found.next_update_utc)

    def _validity(self, where: str, what: str, begins: datetime, expires: datetime) -> str | None:
        left = expires - self.now
        self.expiries.append(Expiry(where, what, expires, left))
        if left < timedelta():
            return f"the {what} expired on {expires:%Y-%m-%d}"
        if begins > self.now:
            return f"the {what} is not valid before {begins:%Y-%m-%d}"
        if left < EXPIRES_SOON:
            self.warning(where, f"the {what} expires in {left.days} days")
        return None
