# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What requests are named by: 128 bits of the kernel's randomness each, so that none can be guessed or comes twice.

A request costs no call of the kernel and no object: the bytes are fetched for 256 requests at once, and the digits are
written where they are needed, into the head for the backend and into the log.
"""

import os

from libc.string cimport memcpy

from lbproxy.wire.slices cimport put_hex, to_bytes


cdef class IdSource:
    """Make it in the process that serves: two that share its bytes would make the same ids."""

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
        return self._source.take(self._chance, ID_SIZE)

    cdef int choose(self, RequestHead request, bint trusted) except -1:
        """Its head is there: name it in that. trusted: keep the name that the client has given it."""
        if request.choose_id(self._chance, trusted):
            self._kept = to_bytes(request.request_id)
        return 0

    @property
    def request_id(self):
        """That of the current request, as it is in the header."""
        cdef char digits[2 * ID_SIZE]
        if self._kept is not None:
            return self._kept
        put_hex(digits, self._chance, ID_SIZE)
        return digits[:2 * ID_SIZE]
