# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""W3C Trace Context, level 1: `traceparent`, which names the trace that a request belongs to and the span that sent it.

    00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
    version, trace id, span id, flags; of those level 1 has one: whether the sender may have recorded its span
"""

from libc.stdint cimport uint8_t

from lbproxy.wire.slices cimport Slice, put_hex, slice_of

cdef enum:
    SAMPLED = 1


cdef inline int _digit(char c) noexcept nogil:
    """Of a digit in lower case; others are refused (section 3.2.2)."""
    if 48 <= c <= 57:
        return c - 48
    return c - 87 if 97 <= c <= 102 else -1


cdef bint _bytes(const char *digits, uint8_t *out, size_t size) noexcept nogil:
    """`size` bytes of twice as many digits; False if there is another character."""
    cdef int high, low
    cdef size_t i
    for i in range(size):
        high, low = _digit(digits[2 * i]), _digit(digits[2 * i + 1])
        if high < 0 or low < 0:
            return False
        out[i] = high << 4 | low
    return True


cdef inline bint _is_zero(const uint8_t *data, size_t size) noexcept nogil:
    cdef uint8_t seen = 0
    cdef size_t i
    for i in range(size):
        seen |= data[i]
    return seen == 0


cdef bint read_traceparent(Slice text, uint8_t *trace_id, uint8_t *span_id, bint *sampled) noexcept nogil:
    """Whether a value is valid (section 3.2); then the rest is set.

    A higher version than 00 is read as far as 00 goes, and may have more behind another `-` (section 3.2.4).
    """
    cdef uint8_t version = 0
    cdef uint8_t flags = 0
    cdef const char *at = text.at
    if text.size < TRACEPARENT_SIZE or not _bytes(at, &version, 1) or version == 0xFF:
        return False
    if text.size > TRACEPARENT_SIZE and (version == 0 or at[TRACEPARENT_SIZE] != b'-'):
        return False
    if at[2] != b'-' or at[35] != b'-' or at[52] != b'-':
        return False
    if not (_bytes(at + 3, trace_id, TRACE_ID) and _bytes(at + 36, span_id, SPAN_ID) and _bytes(at + 53, &flags, 1)):
        return False
    sampled[0] = flags & SAMPLED
    return not _is_zero(trace_id, TRACE_ID) and not _is_zero(span_id, SPAN_ID)


cdef void write_traceparent(char *out, const uint8_t *trace_id, const uint8_t *span_id, bint sampled) noexcept nogil:
    """TRACEPARENT_SIZE characters."""
    out[0] = out[1] = c'0'
    out[2] = out[35] = out[52] = c'-'
    put_hex(out + 3, trace_id, TRACE_ID)
    put_hex(out + 36, span_id, SPAN_ID)
    out[53] = c'0'
    out[54] = c'1' if sampled else c'0'


def read(bytes value not None):
    """(trace id, span id, sampled) of a `traceparent`; None, if it is not valid."""
    cdef uint8_t trace_id[TRACE_ID]
    cdef uint8_t span_id[SPAN_ID]
    cdef bint sampled = False
    if not read_traceparent(slice_of(value), trace_id, span_id, &sampled):
        return None
    return bytes(trace_id[:TRACE_ID]), bytes(span_id[:SPAN_ID]), sampled


def written(bytes trace_id not None, bytes span_id not None, bint sampled):
    """The value of a `traceparent`. Raises ValueError for ids of another size."""
    cdef char out[TRACEPARENT_SIZE]
    if len(trace_id) != TRACE_ID or len(span_id) != SPAN_ID:
        raise ValueError(f"ids have {TRACE_ID} and {SPAN_ID} bytes")
    write_traceparent(out, <const uint8_t *>slice_of(trace_id).at, <const uint8_t *>slice_of(span_id).at, sampled)
    return out[:TRACEPARENT_SIZE]
