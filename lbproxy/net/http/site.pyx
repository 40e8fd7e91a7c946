# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What a listener serves: names and paths, limits of time, and how long its requests took."""

from lbproxy.wire.hosts import without_port

from libc.stdint cimport uint64_t

from lbproxy.balance.round_robin cimport RoundRobin
from lbproxy.net.http.request_ids cimport IdSource
from lbproxy.wire.fields cimport FieldTable
from lbproxy.wire.path_list cimport path_listed
from lbproxy.wire.request_heads cimport Forwarding, RequestHead
from lbproxy.wire.response_heads cimport ResponseHead
from lbproxy.wire.slices cimport Slice, equal, to_bytes

cdef enum:
    MAX_HOSTS = 64               # spellings of Host that are remembered

cdef double[BUCKETS - 1] _LE = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
]


cdef class Site:

    def __init__(
        self,
        RequestHead request not None,
        ResponseHead response not None,
        FieldTable request_trailers not None,
        FieldTable response_trailers not None,
        Forwarding forwarding not None,
        RoundRobin round_robin=None,
        *,
        host_served,
        tuple denied_paths not None,
        path_denied,
        double header_timeout,
        double idle_timeout,
        double response_timeout,
        bint logs,
        double slow_after=0.0,
        frozenset retry_statuses not None=frozenset(),
        IdSource ids=None,
    ):
        """round_robin: of the backends in rotation, where a request may go without asking; None: nowhere.

        host_served(bytes) and path_denied(bytes) decide rare spellings; common ones are decided here.

        denied_paths are normalised; times are seconds; logs: keep what only the access log needs.

        ids: what requests are named by; None: they have no id.
        """
        self.request = request
        self.response = response
        self.request_trailers = request_trailers
        self.response_trailers = response_trailers
        self.forwarding = forwarding
        self.round_robin = round_robin
        self._hosts = set()
        self._host_served = host_served
        self._denied_paths = denied_paths
        self._path_denied = path_denied
        self.header_timeout = header_timeout
        self.idle_timeout = idle_timeout
        self.response_timeout = response_timeout
        self.slow_after = slow_after if slow_after < response_timeout else 0.0
        self.logs = logs
        self.retry_statuses = retry_statuses
        self.retries = bool(retry_statuses)
        self.ids = ids

    cdef bytes host_of(self, Slice named):
        """The Host of a request, in bytes that connections share: most name the same one."""
        return self._last_host if equal(named, self._last_host) else to_bytes(named)

    cdef bint serves(self, bytes host, str name):
        """Whether the Host is served here and, on TLS, the name that the connection was made for (RFC 9110 section 7.4)."""
        if host is self._last_host and name is self._last_name:
            return True
        if host not in self._hosts:
            if not self._host_served(host):
                return False
            if len(self._hosts) < MAX_HOSTS:
                self._hosts.add(host)
        if name is not None and without_port(host) != name:
            return False
        self._last_host, self._last_name = host, name
        return True

    cdef bint denies_path(self):
        """Whether the request head's path is denied, however it is spelled."""
        cdef int listed
        if not self._denied_paths:
            return False
        listed = path_listed(self.request.target, self._denied_paths)
        return listed == 1 or (listed == 2 and self._path_denied(to_bytes(self.request.target)))

    cdef void observe(self, double seconds) noexcept:
        cdef int i = 0
        while i < BUCKETS - 1 and seconds > _LE[i]:
            i += 1
        self._buckets[i] += 1
        self.seconds += seconds

    def histogram(self):
        """[(upper bound in seconds, requests at or below it)], without the last bucket, which is all requests."""
        cdef uint64_t total = 0
        found = []
        for i in range(BUCKETS - 1):
            total += self._buckets[i]
            found.append((_LE[i], total))
        return found

    @property
    def observed(self):
        """Requests in the histogram."""
        cdef uint64_t total = 0
        for i in range(BUCKETS):
            total += self._buckets[i]
        return total
