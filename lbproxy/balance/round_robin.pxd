# cython: language_level=3
"""What the data path reads and counts of backends by itself, without a call into Python."""

from libc.stdint cimport int64_t, uint64_t

from lbproxy.balance.latency cimport Latency


cdef class BackendCore:
    """The typed part of a `Backend`, with the books of its requests: each begins, and is left or ends, once."""
    cdef:
        public uint64_t requests
        public int64_t active
        public int64_t errors_in_row
        readonly Latency latency
        public uint64_t bytes_to    # on its lanes, without what TLS adds
        public uint64_t bytes_from
        public bint placed          # in its pool's rotation; `Pool` writes it
        public bint only_passes     # tcp://: its bytes only pass, it gets no requests
        public object lanes         # the data path's own attachment, never touched in this package
        uint64_t[6] _responses
        void begin_request(self) noexcept
        bint end_request(self, int status) noexcept


cdef class RoundRobin:
    """A queue of backends: the head is next, and goes to the tail when it was picked."""
    cdef:
        list _members
        Py_ssize_t _next
        public bint weighted        # a member passes some of its turns: the head need not be the next
        BackendCore head(self)
    cpdef take_turn(self)
