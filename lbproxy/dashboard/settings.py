"""What the generation tells the process of [admin.web], over its standard input: one line of JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lbproxy.control.admin.sockets import Bind
from lbproxy.dashboard.sessions import SessionView, as_views

WAYS = ("kerberos", "certificate", "password")
"""Of signing in."""


@dataclass(frozen=True, slots=True)
class WebSettings:
    """[admin.web], and where the admin interface is: a path, or a host and a port. Times are in seconds.

    sessions: those of the process before this one.
    """

    admin: list[str | int]
    certificate: str
    key: str
    sign_in: list[str]
    keytab: str | None
    client_ca: str | None
    passwords: str | None
    viewers: list[str]
    operators: list[str]
    idle_timeout: float
    session_timeout: float
    sessions: list[SessionView] = field(default_factory=list)

    @property
    def admin_bind(self) -> Bind:
        """Where to ask."""
        match self.admin:
            case [str(path)]:
                return Path(path)
            case [str(host), int(port)]:
                return host, port
        raise ValueError(f"no address: {self.admin}")

    def encode(self) -> bytes:
        """One line."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> WebSettings:
        """What `encode` gave."""
        found = json.loads(line)
        return cls(**{**found, "sessions": as_views(found["sessions"])})
