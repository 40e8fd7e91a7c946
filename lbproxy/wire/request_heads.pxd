# cython: language_level=3
"""Request heads: the fields, and what the data path asks."""

cimport cython

from libc.stdint cimport uint8_t, uint32_t

from lbproxy.wire.fields cimport Line
from lbproxy.wire.heads cimport Head
from lbproxy.wire.slices cimport Slice
from lbproxy.wire.trace_context cimport TRACEPARENT_SIZE

cdef enum:
    ID_SIZE = 16             # bytes of chance that a request id is made of: 32 digits


@cython.final
cdef class Forwarding:
    """What a listener adds to each request, beside the client's address. The slices are of the bytes beside them."""
    cdef:
        readonly bytes proto
        readonly bytes port
        readonly bytes default_host
        readonly bytes identity
        readonly bytes request_id
        Slice _proto
        Slice _port
        Slice _default_host
        Slice _identity
        Slice _request_id


@cython.final
cdef class RequestHead(Head):
    cdef:
        Slice method
        Slice target                # origin-form or "*", whatever the request line had
        Slice host
        Slice authorization
        Slice user_agent
        Slice request_id            # the client's, until `choose_id` has chosen; then the one that is written
        Slice _authority            # of an absolute-form target
        bint _names_host            # in a Host line
        uint32_t _seen              # X-Forwarded-* lines, a bit for each Field
        int _ids                    # lines with a request id
        char _made_id[2 * ID_SIZE]
        Slice traceparent           # the client's, if there is one line
        int _parents                # lines with one
        bint _traces                # a `traceparent` is written
        bint _continues             # `tracestate` passes
        char _written_parent[TRACEPARENT_SIZE]
        Py_ssize_t parse(self, const char *data, size_t size) noexcept nogil
        Py_ssize_t _parse(self, const char *data, size_t size) noexcept nogil
        int _request_line(self, const char *start, const char *end) noexcept nogil
        int _target(self, Slice target) noexcept nogil
        bint _is_for_authority(self) noexcept nogil
        bint choose_id(self, const uint8_t *chance, bint trusted) noexcept nogil
        bint has_parent(self, uint8_t *trace_id, uint8_t *span_id, bint *sampled) noexcept nogil
        void set_parent(self, const uint8_t *trace_id, const uint8_t *span_id, bint sampled, bint continues) noexcept nogil
        Slice _host_or(self, Forwarding forwarding) noexcept nogil
        size_t bound(self, Forwarding forwarding, Slice client) noexcept nogil
        size_t write(self, char *out, Forwarding forwarding, Slice client, bint trusted) noexcept nogil
        char *_write_forwarded(self, char *out, Forwarding forwarding, Slice client, bint trusted) noexcept nogil
    cpdef bint keeps_alive(self) noexcept
