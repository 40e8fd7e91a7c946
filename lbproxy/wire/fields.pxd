# cython: language_level=3
"""What the parser knows of header lines; RFC 9110 section 5, RFC 9112 section 5."""

cimport cython

from libc.stdint cimport uint8_t, uint32_t

from lbproxy.wire.slices cimport Slice


cpdef enum Field:
    """What a header name means to lbproxy; `FieldTable` maps names to it."""

    OTHER = 0            # end to end, passed on as it is
    STRIP = 1            # never passed on: hop-by-hop, or an identity that only lbproxy may assert
    HOST = 2
    CONTENT_LENGTH = 3
    TRANSFER_ENCODING = 4
    CONNECTION = 5
    UPGRADE = 6
    EXPECT = 7
    AUTHORIZATION = 8
    USER_AGENT = 9
    FORWARDED_FOR = 10   # X-Forwarded-*: lbproxy's own, kept only from trusted peers
    FORWARDED_PROTO = 11
    FORWARDED_HOST = 12
    FORWARDED_PORT = 13
    FORWARDED = 14       # RFC 7239, kept only from trusted peers
    WWW_AUTHENTICATE = 15
    LOCATION = 16        # and Content-Location
    IDEMPOTENCY_KEY = 17 # draft-ietf-httpapi-idempotency-key-header: a request that may be sent again
    REQUEST_ID = 18      # the name that the configuration gives it
    TRACEPARENT = 19     # W3C Trace Context, where lbproxy takes part in traces
    TRACESTATE = 20


cdef enum:               # results of a parse; `heads.reason_of` has the row of `lbproxy.reasons` for each error
    NEED_MORE = 0
    E_NOT_HTTP = -1
    E_REQUEST_LINE = -2
    E_METHOD = -3
    E_METHOD_REFUSED = -4
    E_TARGET = -5
    E_TARGET_LONG = -6
    E_VERSION = -7
    E_BARE_LF = -8
    E_FOLD = -9
    E_NAME = -10
    E_VALUE = -11
    E_TOO_MANY = -12
    E_TOO_LARGE = -13
    E_HOST = -14
    E_AUTHORIZATIONS = -15
    E_LENGTH = -16
    E_LENGTH_AND_CHUNKED = -17
    E_TRANSFER_ENCODING = -18
    E_EXPECT = -19
    E_STATUS_LINE = -20


cdef struct Line:
    Slice name
    Slice value
    uint8_t field


@cython.final
cdef class FieldTable:
    cdef:
        readonly bint allow_underscores
        list _names                 # keeps the bytes alive that the lines below point into
        Line _slots[256]            # open addressing; name and field are used, here and in the prefixes
        Line _prefixes[24]
        int _prefix_count
        uint8_t _begins[256]        # by its first byte: where the prefixes are that a name may have
        uint8_t classify(self, Slice name, bint underscore) noexcept nogil


@cython.final
cdef class Limits:
    cdef:
        readonly size_t max_head
        readonly size_t max_target
        readonly int max_lines


cdef class FieldSection:
    """The lines of a head or of a trailer section, as slices of the buffer that was parsed. Reused, never kept."""
    cdef:
        Limits limits
        FieldTable table
        bint bare_lf                # whether a line may end without CR: in answers of old backends
        object _data                # what `read` was given: slices point into it
        Line *lines
        int count
        int room
        int parse_lines(self, const char *start, const char *end, const char **after) noexcept nogil
        int special(self, Line *line) noexcept nogil
        bint _grow(self) noexcept nogil


cdef inline const char *line_end(const char *start, const char *eol, bint bare_lf) noexcept nogil:
    """Where a line ends whose LF is at `eol`: before its CR. NULL when it has none, unless `bare_lf` lets that pass.

    RFC 9112 section 2.2 allows a recipient to do so; a parser behind it may see other lines then, so it is not the rule.
    """
    if eol > start and (eol - 1)[0] == b'\r':
        return eol - 1
    return eol if bare_lf else NULL


cdef const char *token_end(const char *at, const char *end) noexcept nogil
cdef bint next_token(const char **at, const char *end, Slice *token) noexcept nogil
cdef bint same_name(Slice one, Slice other) noexcept nogil
