# cython: language_level=3
"""What the data path does with lanes by itself, without a call into Python."""

from libc.stdint cimport int64_t, uint64_t

from lbproxy.balance.round_robin cimport BackendCore, RoundRobin
from lbproxy.net.transport.poller cimport Handler
from lbproxy.net.transport.stream cimport Stream


cdef class LaneCore


cdef class LanesCore:
    """The typed part of a backend's `Lanes`."""
    cdef:
        public list idle            # shared lanes; the last used is the next taken, so the rest can retire
        public double idle_timeout  # seconds
        public int64_t private      # lanes that are
        public int64_t tunnels
        public dict ends            # how lanes ended: {reason's label: count}, shared by all backends
        int ended(self, LaneCore lane, object reason) except -1


cdef class LaneCore(Handler):
    """The typed part of a `Lane`."""
    cdef:
        public Stream stream
        public LanesCore lanes
        public BackendCore backend
        public object owner         # of a private lane; None: it may be shared
        public object waiter        # while it is being opened
        public bint tunnel          # its bytes only pass
        public double opened_at     # seconds, CLOCK_MONOTONIC; 0: not yet
        public double connected_at
        public double ready_at
        bytes _header
        public int64_t served       # requests so far
        public bint closed
        uint64_t _counted_to        # bytes that its backend's counters have
        uint64_t _counted_from
        void count_moved(self) noexcept
    cpdef claim(self, owner)
    cpdef bint begin(self, int tries)
    cpdef is_ready(self)
    cpdef close(self, reason)
    cpdef closing(self)
    cpdef rest(self)


cdef LaneCore next_idle_lane(RoundRobin round_robin)
