# cython: language_level=3
"""W3C Trace Context: the header `traceparent`."""

from libc.stdint cimport uint8_t

from lbproxy.wire.slices cimport Slice

cdef enum:
    TRACE_ID = 16                # bytes
    SPAN_ID = 8
    TRACEPARENT_SIZE = 55        # characters, as version 00 has it


cdef bint read_traceparent(Slice text, uint8_t *trace_id, uint8_t *span_id, bint *sampled) noexcept nogil
cdef void write_traceparent(char *out, const uint8_t *trace_id, const uint8_t *span_id, bint sampled) noexcept nogil
