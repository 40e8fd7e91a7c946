# cython: language_level=3
"""What requests are named by, and the traces that they belong to: the fields, and what an exchange calls."""

from libc.stdint cimport uint8_t, uint64_t

from lbproxy.balance.latency cimport Latency
from lbproxy.wire.request_heads cimport ID_SIZE, RequestHead
from lbproxy.wire.trace_context cimport SPAN_ID, TRACE_ID

cdef enum:
    BATCH = 4096             # bytes that the kernel is asked for at once
    EXAMPLE_EVERY = 10       # seconds between two examples of one order of magnitude, for each backend
    TRACED_FOR = 60          # and for which one stays that has a trace


cdef class IdSource:
    """Random bytes, and what they are for; shared by the exchanges of a process."""
    cdef:
        readonly bint names      # requests have ids
        readonly bint traces     # lbproxy takes part in traces
        bint _records            # and records those that are sampled
        bint _samples_all
        uint64_t _sampled_below  # of a random number of 64 bits
        uint8_t _bytes[BATCH]
        size_t _left
        int take(self, uint8_t *out, size_t size) except -1


cdef class RequestIds:
    """What the current request of a client connection is named by, and its place in a trace."""
    cdef:
        IdSource _source
        uint8_t _chance[ID_SIZE]
        bytes _kept              # the id that a trusted client has named it by; None: it is named by chance
        uint8_t _trace[TRACE_ID]
        uint8_t _span[SPAN_ID]
        uint8_t _parent[SPAN_ID]
        bint _has_parent
        readonly bint recorded   # its spans are wanted
        int exemplify(self, Latency latency, int slot, double now, double seconds) except -1
        int renew(self) except -1
        int choose(self, RequestHead request, bint trusted) except -1
        int _join_trace(self, RequestHead request, bint trusted) except -1
