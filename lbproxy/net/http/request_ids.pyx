# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What requests are named by: 128 bits of the kernel's randomness each, so that none can be guessed or comes twice.

A request costs no call of the kernel and no object: the bytes are fetched for many requests at once, and the digits are
written where they are needed, into the head for the backend and into the log. Whether a request is sampled is a
comparison of two numbers.

A trace that begins here has the request's own id.
"""

import os
import time

from lbproxy.record import Exemplar

from libc.string cimport memcpy

from lbproxy.balance.latency cimport Latency
from lbproxy.wire.slices cimport put_hex, to_bytes


cdef class IdSource:
    """Make it in the process that serves: two that share its bytes would make the same ids."""

    def __init__(self, bint names=True, bint traces=False, double sample=0.0, bint records=False):
        """names: requests get ids. traces: and `traceparent`; `sample` is the share of them that is marked as sampled.

        records: the spans of those are wanted.
        """
        if not 0 <= sample <= 1:
            raise ValueError("sample is from 0 to 1")
        self.names = names
        self.traces = traces
        self._records = records
        self._samples_all = sample == 1
        self._sampled_below = 0 if sample == 1 else <uint64_t>(sample * 18446744073709551616.0)

    cdef int take(self, uint8_t *out, size_t size) except -1:
        """Put `size` bytes that were never given before to `out`; at most BATCH."""
        cdef bytes fresh
        if self._left < size:
            fresh = os.getrandom(BATCH)
            memcpy(self._bytes, <const char *>fresh, BATCH)
            self._left = BATCH
        self._left -= size
        memcpy(out, self._bytes + self._left, size)
        return 0


cdef class RequestIds:

    def __cinit__(self, IdSource source not None):
        self._source = source

    cdef int renew(self) except -1:
        """A request begins."""
        self._kept = None
        self.recorded = False
        self._has_parent = False
        self._source.take(self._chance, ID_SIZE)
        memcpy(self._trace, self._chance, TRACE_ID)
        return 0

    cdef int choose(self, RequestHead request, bint trusted) except -1:
        """Its head is there: name it in that. trusted: keep the name that the client has given it."""
        if self._source.names and request.choose_id(self._chance, trusted):
            self._kept = to_bytes(request.request_id)
        if self._source.traces:
            return self._join_trace(request, trusted)
        return 0

    cdef int _join_trace(self, RequestHead request, bint trusted) except -1:
        """The client's trace goes on, or one begins. Whether it is sampled is the client's to say if it is trusted."""
        cdef IdSource source = self._source
        cdef uint64_t number
        cdef bint sampled = False
        self._has_parent = request.has_parent(self._trace, self._parent, &sampled)
        if not self._has_parent:
            memcpy(self._trace, self._chance, TRACE_ID)
        if not (self._has_parent and trusted):
            memcpy(&number, self._chance, sizeof(number))
            sampled = source._samples_all or number < source._sampled_below
        source.take(self._span, SPAN_ID)
        request.set_parent(self._trace, self._span, sampled, self._has_parent)
        self.recorded = sampled and source._records
        return 0

    cdef int exemplify(self, Latency latency, int slot, double now, double seconds) except -1:
        """The current request is an example for a time in that slot. now: CLOCK_MONOTONIC."""
        cdef object example = None
        if self.recorded or self._source.names:
            trace_id = self.trace_id if self.recorded else ""
            example = Exemplar(seconds, time.time(), self.request_id.decode("latin-1"), trace_id)
        latency.keep(slot, now + (TRACED_FOR if self.recorded else EXAMPLE_EVERY), example)
        return 0

    @property
    def request_id(self):
        """That of the current request, as it is in the header; empty, if requests are not named."""
        cdef char digits[2 * ID_SIZE]
        if self._kept is not None:
            return self._kept
        if not self._source.names:
            return b""
        put_hex(digits, self._chance, ID_SIZE)
        return digits[:2 * ID_SIZE]

    @property
    def trace_id(self):
        """That of the trace which the current request belongs to; empty without traces."""
        return bytes(self._trace[:TRACE_ID]).hex() if self._source.traces else ""

    @property
    def span_id(self):
        """Of the span that is lbproxy's."""
        return bytes(self._span[:SPAN_ID]).hex()

    @property
    def parent_id(self):
        """Of the client's span; empty, if it named none."""
        return bytes(self._parent[:SPAN_ID]).hex() if self._has_parent else ""
