# cython: language_level=3
"""What the data path does with shared lanes by itself, without a call into Python."""

from libc.stdint cimport int64_t, uint64_t

from lbproxy.balance.round_robin cimport BackendCore, RoundRobin
from lbproxy.net.transport.poller cimport Handler
from lbproxy.net.transport.stream cimport Stream


cdef class LanesCore:
    """The typed part of a backend's `Lanes`."""
    cdef:
        public list idle            # shared lanes; the last used is the next taken, so the rest can retire
        public double idle_timeout  # seconds


cdef class LaneCore(Handler):
    """The typed part of a `Lane`."""
    cdef:
        public Stream stream
        public LanesCore lanes
        public BackendCore backend
        public object owner         # of a private lane
        public int64_t served       # requests so far
        public bint closed
        uint64_t _counted_to        # bytes that its backend's counters have
        uint64_t _counted_from
        void count_moved(self) noexcept
    cpdef rest(self)


cdef LaneCore next_idle_lane(RoundRobin round_robin)
