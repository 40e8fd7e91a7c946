# cython: language_level=3
"""What heads of requests and of responses have in common: the fields, and what the data path asks."""

from libc.stdint cimport uint64_t

from lbproxy.wire.fields cimport FieldSection, Line
from lbproxy.wire.slices cimport Slice


cpdef enum Framing:
    """How the end of a message body is known (RFC 9112 section 6.3)."""

    NO_BODY = 0
    BY_LENGTH = 1
    CHUNKED = 2
    UNTIL_CLOSE = 3      # responses only


cdef struct Flags:       # what the Connection, Upgrade and Expect lines of one head said
    bint close
    bint keep_alive
    int upgrade          # 1: Connection: upgrade, 2: Upgrade: websocket, 3: both
    bint expects
    bint idempotent      # an Idempotency-Key
    int options          # in Connection lines
    bint nominated       # some of them name header lines


cdef class Head(FieldSection):
    cdef:
        Flags flags
        size_t size                 # of the head as it was received
        readonly Framing framing
        readonly uint64_t length
        readonly int minor          # HTTP/1.minor; what is above 1 is treated as 1 (RFC 9110 section 2.5)
        bint has_length
        int special(self, Line *line) noexcept nogil
        int _connection(self, Slice value) noexcept nogil
        void _drop_nominated(self) noexcept nogil
        size_t forget(self, size_t size) noexcept nogil
        Py_ssize_t concluded(self, Py_ssize_t result, size_t size) noexcept nogil


cdef Py_ssize_t head_end(const char *data, size_t size, size_t resume) noexcept nogil
cdef object reason_of(Py_ssize_t error)
