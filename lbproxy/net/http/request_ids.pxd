# cython: language_level=3
"""What requests are named by: the fields, and what an exchange calls."""

from libc.stdint cimport uint8_t

from lbproxy.wire.request_heads cimport ID_SIZE, RequestHead

cdef enum:
    BATCH = 4096             # bytes that the kernel is asked for at once


cdef class IdSource:
    """Random bytes, shared by the exchanges of a process."""
    cdef:
        uint8_t _bytes[BATCH]
        size_t _left
        int take(self, uint8_t *out, size_t size) except -1


cdef class RequestIds:
    """What the current request of a client connection is named by."""
    cdef:
        IdSource _source
        uint8_t _chance[ID_SIZE]
        bytes _kept              # the id that a trusted client has named it by; None: it is named by chance
        int renew(self) except -1
        int choose(self, RequestHead request, bint trusted) except -1
