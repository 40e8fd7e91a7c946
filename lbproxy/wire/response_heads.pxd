# cython: language_level=3
"""Response heads: the fields, and what the data path asks."""

cimport cython

from lbproxy.wire.fields cimport Line
from lbproxy.wire.heads cimport Head
from lbproxy.wire.slices cimport Slice


@cython.final
cdef class ResponseHead(Head):
    cdef:
        readonly int status
        Slice reason
        readonly bint asks_connection_auth   # a WWW-Authenticate line names Negotiate or NTLM
        int location                # the first Location line with an absolute URL; -1: none
        bint _to_head
        list _relocated             # values of Location lines that were rewritten
        size_t _growth              # their bytes
        Py_ssize_t parse(self, const char *data, size_t size, bint to_head) noexcept nogil
        Py_ssize_t _parse(self, const char *data, size_t size) noexcept nogil
        int _status_line(self, const char *start, const char *end) noexcept nogil
        int relocate(self, object rewrite_location) except -1
        size_t bound(self) noexcept nogil
        size_t write(self, char *out, const char *connection, bint decode) noexcept nogil
    cpdef bint keeps_alive(self) noexcept
