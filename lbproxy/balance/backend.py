"""One connector instance: where it is, how it is, what it has done."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lbproxy.balance.round_robin import BackendCore

if TYPE_CHECKING:
    from lbproxy.reasons import Reason

_DEFAULT_PORTS = {"http": 80, "https": 443, "tcp": None}


class State(Enum):
    """What is known of a backend's health. Draining and being inconsistent are apart from it."""

    NEW = "new"  # no verdict yet: not in rotation, and its first good probe puts it there at once
    UP = "up"
    DOWN = "down"  # out of rotation; only good probes bring it back


class Backend(BackendCore):
    """A backend's address, health state and counters; compared by identity.

    `url` is `http://`, `https://` or `tcp://` with a host and, except for the first two, a port; ValueError if not.
    `origin` is the scheme and authority of `url` as written, with no port added or removed.

    Health, written by `health` and `Pool` only: `since` is the monotonic second of the last change of `state`; `reason`
    and `detail` say why it is down (`reason` is None when a probe decided). One that flaps is not readmitted before
    `held_until` (monotonic seconds, 0 while it is not held); `readmit_wait` is how long its last wait was.
    `inconsistent` says in which fact it differs from the others if it is kept out for that, else it is empty.

    Share: `weight` (0 to 100) is its share of requests, of which it gets the part `ramp` (above 0, at most 1): below 1
    only while its slow start lasts. `standby`: it gets work only while too few others are in rotation. `draining` is an
    operator's order. `source` is what made it a member; `departed` says that it has left the pool, and only finishes
    its requests.

    The other counters are the data path's. `begin`, `leave` and `end` keep the books of requests: `requests`, `active`
    (now open), `responses`, by status // 100, and `errors_in_row`, which an answer that is no error sets to 0 (health
    adds to it). As plain attributes it writes `lanes_opened`, `connect_failures`, `retried_from` and `retried_to`
    (requests that moved away from it, and to it), `bytes_to` and `bytes_from`. `latency` has how long answers took to
    begin. `lanes` is the data path's own attachment, never touched here.
    """

    __slots__ = (
        "connect_failures",
        "departed",
        "detail",
        "draining",
        "ejections",
        "errors",
        "fall_count",
        "held_until",
        "host",
        "inconsistent",
        "lanes_opened",
        "name",
        "origin",
        "port",
        "ramp",
        "readmit_wait",
        "reason",
        "retried_from",
        "retried_to",
        "rise_count",
        "scheme",
        "since",
        "source",
        "standby",
        "state",
        "url",
        "weight",
    )

    def __init__(self, name: str, url: str, weight: int = 1, standby: bool = False, source: str = "file") -> None:
        self.name = name
        self.url = url
        self.scheme, self.host, self.port, self.origin = parse_url(url)
        self.only_passes = self.scheme == "tcp"
        self.state = State.NEW
        self.draining = self.departed = False
        self.inconsistent = ""
        self.weight = weight
        self.standby = standby
        self.source = source
        self.ramp = 1.0
        self.since = 0.0
        self.reason: Reason | None = None
        self.detail = ""
        self.held_until = self.readmit_wait = 0.0
        self.rise_count = self.fall_count = 0
        self.errors = self.ejections = 0
        self.lanes_opened = self.connect_failures = self.retried_from = self.retried_to = 0

    @property
    def in_rotation(self) -> bool:
        """Whether it may be picked now; `Pool` decides it."""
        return self.placed

    @property
    def takes_work(self) -> bool:
        """Whether it may get new work at all, whatever its health is."""
        return not self.draining and not self.departed and self.weight > 0

    @property
    def fit(self) -> bool:
        """Whether nothing but the others can keep it out: it takes work, is up, and is not unlike them."""
        return self.state is State.UP and self.takes_work and not self.inconsistent

    def __repr__(self) -> str:
        flags = {
            "draining": self.draining,
            "inconsistent": self.inconsistent,
            "standby": self.standby,
            "departed": self.departed,
        }
        words = [self.state.value, *(word for word, is_so in flags.items() if is_so)]
        return f"<backend {self.name} {self.url} {' '.join(words)}>"


def parse_url(url: str) -> tuple[str, str, int, bytes]:
    """Scheme, host, port and origin of a backend's URL (RFC 3986 section 3); ValueError says what is wrong."""
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError(f"{url}: the scheme is not http, https or tcp")
    port = _DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
    if not parts.hostname or not port:
        raise ValueError(f"{url}: a host and a port are needed")
    if parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"{url}: only scheme, host and port may be given")
    scheme_as_written = url.partition(":")[0]
    return parts.scheme, parts.hostname, port, f"{scheme_as_written}://{parts.netloc}".encode("ascii")
