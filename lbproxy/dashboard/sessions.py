"""Who has signed in, and until when.

A session is known by a token that only the browser has: what is kept is its SHA-256. There is a bounded number of them,
each ends after a time without a request and after a time at all, and each sign-in begins a new one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypedDict

Role = Literal["viewer", "operator"]

MOST = 500
"""Sessions at a time; one more ends the one that was used longest ago."""

MOST_OF_ONE = 20
"""Of one user: one who signs in again and again ends none of the others."""


class SessionView(TypedDict):
    """A session as it is handed over: the token's digest, who it is, how they have signed in, and when it began."""

    digest: str
    user: str
    how: str
    began: float
    used: float


@dataclass(slots=True)
class Session:
    """user: as it is shown and logged. how: by which way of signing in. Times are in seconds of the clock.

    csrf: what each form of this session has in it, in the next process too.
    on_behalf: whom orders are for, "" for the process's own account.
    """

    digest: str
    user: str
    how: str
    role: Role
    began: float
    used: float
    on_behalf: str = ""
    csrf: str = field(init=False)
    over: bool = False

    def __post_init__(self) -> None:
        self.csrf = hmac.new(self.digest.encode(), b"csrf", hashlib.sha256).hexdigest()

    def __repr__(self) -> str:
        return f"<session of {self.user}, {self.role}>"

    def owns(self, csrf: str) -> bool:
        """Whether a form is of this session."""
        return hmac.compare_digest(self.csrf.encode(), csrf.encode("utf-8", "replace"))


class Sessions:
    """All of them, by the digest of their token."""

    def __init__(self, clock: Callable[[], float], idle: float | None, lifetime: float) -> None:
        """idle, lifetime: seconds. clock: its seconds are compared with those of sessions that are handed over."""
        self._clock = clock
        self._idle = idle
        self._lifetime = lifetime
        self._by_digest: dict[str, Session] = {}
        self.changed: Callable[[], None] = lambda: None

    def __repr__(self) -> str:
        return f"<{len(self._by_digest)} sessions>"

    def begin(self, user: str, how: str, role: Role, on_behalf: str = "") -> tuple[str, Session]:
        """A new one: the token for the browser, and the session."""
        token, now = secrets.token_urlsafe(32), self._clock()
        self._clear(now)
        self._make_room([one for one in self._by_digest.values() if (one.how, one.user) == (how, user)], MOST_OF_ONE)
        self._make_room([*self._by_digest.values()], MOST)
        session = Session(_digest(token), user, how, role, now, now, on_behalf)
        self._by_digest[session.digest] = session
        self.changed()
        return token, session

    def find(self, token: str, used: bool = True) -> Session | None:
        """That of a token, if it goes on; used: its idle time begins anew."""
        session = self._by_digest.get(_digest(token)) if token else None
        if session is None or not self.lasts(session):
            return None
        if used:
            session.used = self._clock()
        return session

    def lasts(self, session: Session) -> bool:
        """Whether it goes on; one whose time is over ends here."""
        now = self._clock()
        if not session.over and self._is_over(session, now):
            self.end(session)
        return not session.over

    def end(self, session: Session) -> None:
        """The browser's token is worth nothing from now on."""
        session.over = True
        if self._by_digest.pop(session.digest, None) is not None:
            self.changed()

    def end_of(self, how: str, users: Collection[str]) -> None:
        """All of these users, who have signed in that way."""
        for one in [*self._by_digest.values()]:
            if one.how == how and one.user in users:
                self.end(one)

    def export(self) -> list[SessionView]:
        """For the process after this one."""
        return [
            {"digest": one.digest, "user": one.user, "how": one.how, "began": one.began, "used": one.used}
            for one in self._by_digest.values()
        ]

    def adopt(self, view: SessionView, role: Role, on_behalf: str) -> None:
        """One of the process before this one. role: as the configuration says now."""
        session = Session(view["digest"], view["user"], view["how"], role, view["began"], view["used"], on_behalf)
        if not self._is_over(session, self._clock()):
            self._by_digest[session.digest] = session

    def _is_over(self, session: Session, now: float) -> bool:
        idle = self._idle is not None and now - session.used >= self._idle
        return idle or now - session.began >= self._lifetime

    def _make_room(self, among: list[Session], most: int) -> None:
        """For one more."""
        for one in sorted(among, key=lambda one: one.used)[: max(0, len(among) - most + 1)]:
            self.end(one)

    def _clear(self, now: float) -> None:
        for session in [one for one in self._by_digest.values() if self._is_over(one, now)]:
            self.end(session)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def as_views(found: object) -> list[SessionView]:
    """What `export` gave, after it was JSON; whatever has another form is left out."""
    keys: Mapping[str, type | tuple[type, ...]] = {
        "digest": str, "user": str, "how": str, "began": (int, float), "used": (int, float),
    }  # fmt: skip
    return [
        one  # type: ignore[misc]  # it was looked at key by key
        for one in (found if isinstance(found, list) else [])
        if isinstance(one, dict) and all(isinstance(one.get(key), kind) for key, kind in keys.items())
    ]
