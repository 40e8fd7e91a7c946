# cython: language_level=3
"""What the parser offers to the data path; the states read like a header file (RFC 9112 throughout)."""

cimport cython

from libc.stdint cimport uint8_t, uint32_t, uint64_t


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


cpdef enum Framing:
    """How the end of a message body is known (RFC 9112 section 6.3)."""

    NO_BODY = 0
    BY_LENGTH = 1
    CHUNKED = 2
    UNTIL_CLOSE = 3      # responses only


cdef enum BodyStatus:
    BODY_MORE = 0        # call again with what was not used, or with what comes next
    BODY_DONE = 1        # the body is complete; the rest is not part of it
    BODY_BAD_CHUNK = 2
    BODY_BAD_TRAILER = 3


cdef struct Slice:
    const char *at
    size_t size


cdef struct Line:
    Slice name
    Slice value
    uint8_t field


cdef struct Flags:       # what the Connection, Upgrade and Expect lines of one head said
    bint close
    bint keep_alive
    int upgrade          # 1: Connection: upgrade, 2: Upgrade: websocket, 3: both
    bint expects
    bint idempotent      # an Idempotency-Key
    int options          # in Connection lines
    bint nominated       # some of them name header lines


@cython.final
cdef class FieldTable:
    cdef:
        readonly bint allow_underscores
        list _names                 # keeps the bytes alive that the lines below point into
        Line _slots[256]            # open addressing; name and field are used, here and in the prefixes
        Line _prefixes[24]
        int _prefix_count
        uint8_t _begins[256]        # by its first byte: where the prefixes are that a name may have
        uint8_t classify(self, Slice name, bint underscore) noexcept


@cython.final
cdef class Limits:
    cdef:
        readonly size_t max_head
        readonly size_t max_target
        readonly int max_lines


@cython.final
cdef class Forwarding:
    """What a listener adds to each request, beside the client's address."""
    cdef:
        readonly bytes proto
        readonly bytes port
        readonly bytes default_host
        readonly bytes identity


cdef class Head:
    """Common to both heads: header lines as slices of the buffer that was parsed. Reused, never kept."""
    cdef:
        Limits limits
        FieldTable table
        bint bare_lf                # whether a line may end without CR: in answers of old backends
        object _data                # what `read` was given: slices point into it
        Line *lines
        int count
        int room
        Flags flags
        size_t size                 # of the head as it was received
        readonly Framing framing
        readonly uint64_t length
        readonly int minor          # HTTP/1.minor; what is above 1 is treated as 1 (RFC 9110 section 2.5)
        bint has_length
        int parse_lines(self, const char *start, const char *end, const char **after) noexcept
        int special(self, Line *line) noexcept
        bint _grow(self) noexcept
        int _connection(self, Slice value) noexcept
        void _drop_nominated(self) noexcept
        size_t _forget(self, size_t size) noexcept
        Py_ssize_t _sized(self, Py_ssize_t result, size_t size) noexcept


@cython.final
cdef class RequestHead(Head):
    cdef:
        Slice method
        Slice target                # origin-form or "*", whatever the request line had
        Slice host
        Slice authorization
        Slice user_agent
        Slice _authority            # of an absolute-form target
        bint _names_host            # in a Host line
        uint32_t _seen              # X-Forwarded-* lines, a bit for each Field
        Py_ssize_t parse(self, const char *data, size_t size) noexcept
        Py_ssize_t _parse(self, const char *data, size_t size) noexcept
        int _request_line(self, const char *start, const char *end) noexcept
        int _target(self, Slice target) noexcept
        bint _is_for_authority(self) noexcept
        Slice _host_or(self, Forwarding forwarding) noexcept
        size_t bound(self, Forwarding forwarding, bytes client) noexcept
        size_t write(self, char *out, Forwarding forwarding, bytes client, bint trusted) noexcept
        char *_write_forwarded(self, char *out, Forwarding forwarding, bytes client, bint trusted) noexcept
    cpdef bint keeps_alive(self) noexcept


@cython.final
cdef class ResponseHead(Head):
    cdef:
        readonly int status
        Slice reason
        readonly bint asks_connection_auth   # a WWW-Authenticate line names Negotiate or NTLM
        int location                # the first Location line with an absolute URL; -1: none
        bint _to_head
        size_t _extra               # bytes that rewritten locations may add
        Py_ssize_t parse(self, const char *data, size_t size, bint to_head) noexcept
        Py_ssize_t _parse(self, const char *data, size_t size) noexcept
        int _status_line(self, const char *start, const char *end) noexcept
        size_t bound(self, size_t extra) noexcept
        size_t write(self, char *out, bytes connection, bint decode, object rewrite_location)
    cpdef bint keeps_alive(self) noexcept


@cython.final
cdef class Body:
    """The framing of one body: which bytes belong to it and which of those are passed on."""
    cdef:
        readonly Framing framing
        readonly bint done
        bint decode                 # to an HTTP/1.0 client: data only
        bint bare_lf                # as in `Head`; what is passed on has CR LF
        uint8_t state
        uint8_t digits
        uint32_t extension          # bytes of chunk extensions so far
        readonly uint64_t remaining
        bytearray trailer
        FieldTable table
        void start(self, Framing framing, uint64_t length, bint decode, FieldTable table, bint bare_lf) noexcept
        BodyStatus next(self, const char *data, size_t size, size_t *used, Slice *span)
        BodyStatus _chunked(self, const char *data, size_t size, size_t *used, Slice *span)
        bint _may_lack_cr(self) noexcept
        int _framing_byte(self, uint8_t c) noexcept
        BodyStatus _trailer(self, const char *data, size_t size, size_t *used, Slice *span)


cdef Py_ssize_t head_end(const char *data, size_t size, size_t resume) noexcept
cdef object reason_of(Py_ssize_t error)
cdef int path_listed(Slice target, tuple paths) noexcept
cdef bytes to_bytes(Slice text)
