# cython: language_level=3
"""Message bodies: the fields, and what the data path asks."""

cimport cython

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from lbproxy.wire.fields cimport FieldTable
from lbproxy.wire.heads cimport Framing
from lbproxy.wire.slices cimport Slice


cdef enum BodyStatus:
    BODY_MORE = 0        # call again with what was not used, or with what comes next
    BODY_DONE = 1        # the body is complete; the rest is not part of it
    BODY_BAD_CHUNK = 2
    BODY_BAD_TRAILER = 3


@cython.final
cdef class Body:
    """The framing of one body: which bytes belong to it and which of those are passed on."""
    cdef:
        readonly Framing framing
        readonly bint done
        bint decode                 # to an HTTP/1.0 client: data only
        bint bare_lf                # as in `FieldSection`; what is passed on has CR LF
        bint in_trailer             # some of its section came, and is in `trailer`
        uint8_t state
        uint8_t digits
        uint32_t extension          # bytes of chunk extensions so far
        readonly uint64_t remaining
        bytearray trailer
        FieldTable table
        void start(self, Framing framing, uint64_t length, bint decode, FieldTable table, bint bare_lf) noexcept
        BodyStatus next(self, const char *data, size_t size, size_t *used, Slice *span)
        BodyStatus _chunked(self, const char *data, size_t size, size_t *used, Slice *span) noexcept nogil
        bint _may_lack_cr(self) noexcept nogil
        int _framing_byte(self, uint8_t c) noexcept nogil
        BodyStatus _trailer(self, const char *data, size_t size, size_t *used, Slice *span)
