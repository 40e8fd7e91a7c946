"""The one view of a running balancer: what `/status`, `/metrics`, `/readyz` and the commands read.

A snapshot is made of what JSON can hold, so it crosses a socket as it is. Counters count since the start of the
balancer and never go down. `reason` and the keys of `refused` and `ends` are labels of `lbproxy.reasons.TABLE`; the
snapshot's own `ends` are those of all listeners and of all lanes.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from lbproxy.control.counts import (
    AccessLogView,
    BackendCounts,
    Durations,
    LagView,
    ListenerCounts,
    LogLinesView,
    RetryBudgetView,
    TracingView,
)
from lbproxy.control.fleet.views import FleetView, InstanceInFleetView, RolloutView


class ProbeView(TypedDict):
    """The last finished probe of a backend. `reason` is a label of `probes.kerberos.failures`, for kerberos probes."""

    ok: bool
    detail: str
    reason: str | None
    took_seconds: float
    age_seconds: float


class TicketView(TypedDict):
    """What keeps the kerberos probes of a pool from a new ticket: a label of `probes.kerberos.failures`, or None."""

    reason: str | None
    reason_text: str | None
    detail: str
    since_seconds: float


class ProtectionView(TypedDict):
    """Whether extended protection can work with a backend: works, cannot, undefined or unknown, and why."""

    verdict: str
    text: str


class StampView(TypedDict):
    """Who said something, and when, in seconds since the epoch."""

    by: str
    at: float


class WindowView(TypedDict):
    """The last `seconds` of a backend: how many answers there were, and how many 5xx among them.

    The percentiles are of the seconds until an answer began, to within 12 %; None if there was no answer.
    """

    seconds: float
    answers: int
    server_errors: int
    p50: float | None
    p90: float | None
    p99: float | None


class RecentView(TypedDict):
    """The last minute of a backend, and the last ten."""

    minute: WindowView
    ten_minutes: WindowView


class BackendView(BackendCounts):
    """One backend. `reason`, its text and `detail` say why it is down.

    `weight` (0 to 100) is its part of the turns, of which it gets `ramp`: below 1 in its slow start. `source` is what
    made it a member: file, operator, or a discovery; `added` is the account that added it, and when, None if its source
    does not tell. `ordered` is what operators have ordered: drain, weight or standby. `held_seconds` is how long one
    that flaps may not come back yet.
    `inconsistent` is what it differs in from the others, if it is kept out for that, else empty.
    `binds` is whether it keeps the user on the connection, None if that is not known; kerberos probes find it out.
    `recent` is what happened lately.
    `facts` are what the consistency guard read at it last, by the names that the configuration gives them.
    """

    name: str
    url: str
    state: Literal["new", "up", "down"]
    draining: bool
    in_rotation: bool
    weight: int
    ramp: float
    standby: bool
    source: str
    check_url: str | None  # the file's, for this backend alone
    added: StampView | None
    ordered: dict[str, StampView]
    held_seconds: float
    inconsistent: str
    since_seconds: float
    reason: str | None
    reason_text: str | None
    detail: str
    recent: RecentView
    probe: ProbeView | None
    binds: bool | None
    facts: dict[str, str | None]  # None: not known
    unknown_facts: dict[str, str]  # fact -> why it cannot be read; if it has a value all the same, that is an old one
    extended_protection: ProtectionView | None  # None: not an https backend behind a listener with TLS


class WaitingOrderView(TypedDict):
    """What operators have ordered for a name that no backend has now. It counts for a backend of this name that comes.

    `weight` and `standby` None: as its source will say. `ordered` has the account that ordered each of them, and when.
    """

    name: str
    draining: bool
    weight: int | None
    standby: bool | None
    ordered: dict[str, StampView]


class BackendInPool(TypedDict):
    """One backend and the name of its pool."""

    pool: str
    backend: BackendView


class InstanceView(BackendInPool):
    """One instance: the answer to what is asked about it, or done to it.

    Backends of one name are one instance, in whatever pools they are: `others` are those in further pools. It is empty
    where POOL/NAME was asked for, which is one backend. `fleet` is None without [fleet]. `killed_generations` is how
    many generations were killed while their workers still finish requests: none of these workers hears of orders.
    """

    others: list[BackendInPool]
    fleet: InstanceInFleetView | None
    killed_generations: int


class DifferenceView(TypedDict):
    """A fact that is not as it should be everywhere: `reference` is what it should be, None if that is not known.

    `expected` is whether the configuration says so, rather than most backends. `backends` are those that differ, each
    with a sentence that has its own value.
    """

    fact: str
    reference: str | None
    expected: bool
    backends: dict[str, str]


class ConsistencyView(TypedDict):
    """What the consistency guard makes of the facts. While `updating` it ejects no further backend."""

    policy: Literal["warn", "eject-minority"]
    updating: bool
    differences: list[DifferenceView]


class DiscoveryView(TypedDict):
    """One source of members beside the file: its name, and `where` it looks.

    `members` is how many it has that count. `age_seconds`: since its last answer, None if there was none yet.
    `stale_seconds` is how long it has been failing, 0 if it is not, and `error` why. `doubt` is why its last answer
    does not count yet. `left_out` has a sentence for each of its records that can be no member.
    """

    source: str
    where: str
    members: int
    age_seconds: float | None
    stale_seconds: float
    error: str | None
    doubt: str | None
    left_out: list[str]


class PoolView(TypedDict):
    """One pool: how it is checked, what it does when every backend is down, and its backends.

    `ready_when_all_down` is whether lbproxy calls itself ready while every backend is out of rotation.

    `tickets` is there for kerberos checks only, `consistency` if the pool has a guard that compares its backends.
    `refused` has the backends that a source wanted and could not have: by the source, a sentence each.
    `discovery` has each source of members beside the file. `waiting_orders` are those without a backend.
    `departed` has the backends that have left and still have requests: how many, by name, 1 at least while a connection
    is open. `outliers` has
    the backends that answer far slower than the others, or with errors: by the name, what stands out.
    """

    name: str
    check: str
    retry_budget: RetryBudgetView
    tickets: TicketView | None
    consistency: ConsistencyView | None
    discovery: list[DiscoveryView]
    when_all_down: str
    ready_when_all_down: bool
    refused: dict[str, list[str]]
    waiting_orders: list[WaitingOrderView]
    departed: dict[str, int]
    outliers: dict[str, list[str]]
    backends: list[BackendView]


class ShutOutView(TypedDict):
    """Authorities of clients (RFC 4514) without a current revocation list, so that all their users are refused.

    `everybody` is whether no client gets in: certificates are required, and no authority is left.
    """

    authorities: list[str]
    everybody: bool


class ListenerView(ListenerCounts):
    """One listener. `pool` has several names in mode sni, with spaces between them."""

    name: str
    bind: str
    mode: str
    tls: bool
    pool: str
    shut_out: ShutOutView | None  # None: no authority lacks a list


class ExpiryView(TypedDict):
    """Something that TLS uses and that ends: `where` is the table of the configuration that names its file, `path`.

    `name` is whose it is (RFC 4514), `expires` when it ends (RFC 3339); `left_seconds` is negative once it has ended.
    """

    where: str
    kind: Literal["certificate", "ca", "client_ca", "crl", "mint"]
    path: str
    name: str
    expires: str
    left_seconds: float


class RefusedView(TypedDict):
    """Why files cannot be used, in a sentence that names the one; `since` is in seconds since the epoch."""

    why: str
    since: float


class TlsFilesView(TypedDict):
    """The files that a table of the configuration, `where`, names for TLS. They are read again when they change.

    `refused` is there while what they hold now cannot be used, and what was read before is.
    """

    where: str
    refused: RefusedView | None


class LogView(TypedDict):
    """The level of the operational log; until: when it goes back to info (seconds since the epoch)."""

    level: str
    until: float | None


class GenerationView(TypedDict):
    """The processes that serve this version of the configuration: which one it is, from 1 on, and its process id."""

    number: int
    pid: int


class ReloadView(TypedDict):
    """The last reload: when it ended (seconds since the epoch), and what went wrong if the old configuration stays."""

    ended: float
    ok: bool
    problems: list[str]


class ConfigurationView(TypedDict):
    """What is served: `file` as it was when it was read, at `loaded` (seconds since the epoch).

    `last_reload` is None if there was none since lbproxy began, or began again after a generation died.
    """

    file: str
    loaded: float
    last_reload: ReloadView | None


class LeaveView(TypedDict):
    """How far this host is in leaving its virtual addresses to others.

    over: nothing is waited for any more. here, elsewhere: the virtual addresses that this host has, and those that it
    has not.
    """

    leaving: bool
    over: bool
    here: list[str]
    elsewhere: list[str]
    connections: int


class OpenSslView(TypedDict):
    """The library of TLS. direct: its functions are called themselves, and not Python's methods, which cost more."""

    version: str
    direct: bool


class Snapshot(TypedDict):
    """Everything. `pid` is the master's: signals go there. `fleet` is None without [fleet].

    `rollouts` are those of the fleet; without one, those that were begun over this balancer.
    """

    version: str
    pid: int
    generation: GenerationView
    openssl: OpenSslView
    configuration: ConfigurationView
    server_url: str
    state: Literal["starting", "serving", "leaving", "draining"]
    uptime_seconds: float
    drain_timeout_seconds: float
    listeners: list[ListenerView]
    pools: list[PoolView]
    expiries: list[ExpiryView]
    tls_files: list[TlsFilesView]
    ends: dict[str, int]
    request_seconds: Durations
    loop_lag: LagView
    access_log: AccessLogView
    log_lines: LogLinesView
    tracing: TracingView
    log: LogView
    fleet: FleetView | None
    rollouts: list[RolloutView]
