"""[pool.NAME]: the set of backends that a listener forwards to."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictInt

from lbproxy.config.models.backend import Backend
from lbproxy.config.models.check import Check, CheckKind
from lbproxy.config.models.consistency import Consistency
from lbproxy.config.models.discover import Discover
from lbproxy.config.models.table import Table
from lbproxy.config.models.values import Count, Duration, File, Host, PositiveDuration
from lbproxy.config.units import percentage, size_between


def _without_brackets(host: str) -> str:
    """An address as a certificate has it (RFC 5280 section 4.2.1.6), which OpenSSL is given to look for."""
    return host.strip("[]")


class PoolTls(Table):
    """[pool.NAME.tls]: TLS towards https backends; None is the system's CAs and the host of the backend's URL.

    `certificate` and `key` are lbproxy's own, for backends that ask clients for certificates; both or neither.
    """

    verify: StrictBool = True
    ca: File | None = None
    server_name: Annotated[Host, AfterValidator(_without_brackets)] | None = None
    certificate: File | None = None
    key: File | None = None


class Pool(Table):
    """[pool.NAME]: `retry_budget` is a share of all requests (0.2 is 20 %). `backends` may be empty with `discover`."""

    backends: tuple[Backend, ...] = ()
    discover: Discover | None = None
    tls: PoolTls = PoolTls()
    check: Check = Check()
    consistency: Consistency = Consistency()
    send_proxy_protocol: Literal["none", "v1", "v2"] = "none"
    bare_lf: Literal["refuse", "accept"] = "refuse"
    connect_timeout: PositiveDuration = 2.0
    response_timeout: PositiveDuration = 60.0
    idle_lane_timeout: PositiveDuration = 4.0
    consecutive_errors: Count = 3
    slow_start: Duration = 0.0
    standby_below: Count = 1
    max_backends: Annotated[StrictInt, Field(ge=1, le=100_000)] = 10_000
    readmit_backoff: Duration = 60.0
    when_all_down: Literal["try", "refuse"] = "try"
    ready_when_all_down: StrictBool = False
    retry_buffer: Annotated[int, BeforeValidator(size_between("0B", "16MiB"))] = 64 * 1024
    retry_budget: Annotated[float, BeforeValidator(percentage)] = 0.2
    retry_statuses: tuple[Annotated[StrictInt, Field(ge=500, le=599)], ...] = ()

    @property
    def written(self) -> tuple[Backend, ...]:
        """The backends that are members as they are written: those that are not to be expanded."""
        return tuple(backend for backend in self.backends if not backend.expand)

    def probe_kind(self, backend: Backend) -> CheckKind:
        """How `backend` is probed: as check.kind says, or by tcp where it has nothing that could be asked for.

        http and kerberos ask for a page, which a tcp:// backend has only at a URL of its own; http:// has no TLS.
        """
        kind, url = self.check.kind, backend.check_url or self.check.url
        pageless = kind in ("http", "kerberos") and backend.scheme == "tcp" and url is None
        return "tcp" if pageless or (kind == "tls" and backend.scheme == "http") else kind

    def probe_url(self, backend: Backend) -> str:
        """The absolute URL that a probe of `backend` asks for, if it is one of the kind http or kerberos."""
        return backend.page(backend.check_url or self.check.url, self.check.path)
