# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Request heads: a strict parser, and the writer of what a backend gets (RFC 9112 section 3, RFC 9110 section 7)."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr, memcmp

from lbproxy.wire.fields cimport (
    AUTHORIZATION,
    CONTENT_LENGTH,
    E_AUTHORIZATIONS,
    E_BARE_LF,
    E_EXPECT,
    E_HOST,
    E_METHOD,
    E_METHOD_REFUSED,
    E_NOT_HTTP,
    E_REQUEST_LINE,
    E_TARGET,
    E_TARGET_LONG,
    E_VERSION,
    EXPECT,
    FORWARDED,
    FORWARDED_FOR,
    FORWARDED_HOST,
    FORWARDED_PORT,
    FORWARDED_PROTO,
    HOST,
    IDEMPOTENCY_KEY,
    NEED_MORE,
    OTHER,
    REQUEST_ID,
    TRACEPARENT,
    TRACESTATE,
    USER_AGENT,
    FieldTable,
    Limits,
    Line,
    token_end,
)
from lbproxy.wire.heads cimport CHUNKED, NO_BODY, Head, reason_of
from lbproxy.wire.slices cimport Slice, is_word, put, put_hex, put_line, put_text, same, slice_of, to_bytes
from lbproxy.wire.trace_context cimport TRACEPARENT_SIZE, read_traceparent, write_traceparent

cdef enum:
    MAX_EMPTY_LINES = 2          # before a request line
    MAX_BESIDE_TARGET = 64       # bytes of a request line that are not its target
    MAX_ID = 128                 # characters of a request id

cdef enum:                   # what a byte may stand for in a Host value, and elsewhere
    HOST_NAME = 1            # reg-name or IPv4address; narrower than RFC 3986, no browser sends more
    HOST_V6 = 2              # inside the brackets of an IPv6address
    ID = 4                   # and in a request id, whatever reads it: no quote, space, comma or bracket

cdef uint8_t _HOST[256]


cdef void _fill_table() noexcept:
    cdef int c
    for c in b"-._0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz":
        _HOST[c] = HOST_NAME
    for c in b":.0123456789ABCDEFabcdef":
        _HOST[c] |= HOST_V6
    for c in b"-._~:+/=@0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz":
        _HOST[c] |= ID


_fill_table()


cdef bint _is_host(Slice text) noexcept nogil:
    """uri-host [ ":" port ] (RFC 9110 section 7.2): a name, an IPv4 address or [v6], and a port of digits only."""
    cdef const char *at = text.at
    cdef const char *end = at + text.size
    cdef const char *name = at
    cdef uint8_t kind = HOST_NAME
    if text.size and at[0] == b'[':
        kind = HOST_V6
        at += 1
        name = at
    while at < end and _HOST[<uint8_t>at[0]] & kind:
        at += 1
    if at == name:
        return False
    if kind == HOST_V6:
        if at == end or at[0] != b']':
            return False
        at += 1
    if at == end:
        return True
    if at[0] != b':' or end - at > 6:
        return False
    at += 1
    while at < end and 48 <= at[0] <= 57:
        at += 1
    return at == end


cdef inline bint _not_visible(Slice text) noexcept nogil:
    """Anything but visible ASCII, or a `#`: not allowed in a request target (RFC 3986, RFC 9112 section 3.2)."""
    cdef uint8_t bad = 0
    cdef uint8_t c
    cdef size_t i
    for i in range(text.size):
        c = <uint8_t>text.at[i]
        bad |= (c < 0x21) | (c > 0x7E) | (c == 0x23)
    return bad != 0


cdef bint _is_id(Slice text) noexcept nogil:
    """Whether a peer's request id is fit for a header, for a log, and for what searches it."""
    cdef uint8_t common = ID
    cdef size_t i
    if text.size == 0 or text.size > MAX_ID:
        return False
    for i in range(text.size):
        common &= _HOST[<uint8_t>text.at[i]]
    return common != 0


cdef class Forwarding:

    def __cinit__(
        self,
        bytes proto not None,
        bytes port not None,
        bytes default_host not None,
        bytes identity not None=b"",
        bytes request_id not None=b"",
    ):
        """proto and port as users see them; default_host for HTTP/1.0 requests that name none.

        identity: whole header lines with the client's identity, for the requests of one client connection. request_id:
        the name of the header with a request's id.
        """
        self.proto = proto
        self.port = port
        self.default_host = default_host
        self.identity = identity
        self._proto = slice_of(proto)
        self._port = slice_of(port)
        self._default_host = slice_of(default_host)
        self._identity = slice_of(identity)
        self.request_id = request_id
        self._request_id = slice_of(request_id)

    def identified(self, bytes identity not None):
        """The same for a client with the identity in these header lines."""
        return Forwarding(self.proto, self.port, self.default_host, identity, self.request_id)


cdef enum:                   # a bit for each Field whose lines are passed on in their place; others are written anew
    TO_BACKEND = 1 << OTHER | 1 << HOST | 1 << CONTENT_LENGTH | 1 << AUTHORIZATION | 1 << USER_AGENT \
        | 1 << IDEMPOTENCY_KEY


cdef class RequestHead(Head):

    def __cinit__(self, Limits limits not None, FieldTable table not None):
        """As `Head`; a line of a request always ends with CR LF."""

    cdef Py_ssize_t parse(self, const char *data, size_t size) noexcept nogil:
        """The size of the head, 0 when more bytes are needed, else a negative error."""
        return self.concluded(self._parse(data, self.forget(size)), size)

    cdef Py_ssize_t _parse(self, const char *data, size_t size) noexcept nogil:
        cdef const char *start = data
        cdef const char *end = data + size
        cdef const char *eol
        cdef const char *after = NULL
        cdef int skipped = 0
        cdef int result
        self.method = self.target = self._authority = Slice(NULL, 0)
        self.host = self.authorization = self.user_agent = self.request_id = Slice(NULL, 0)
        self._names_host = False
        self._seen = 0
        self._ids = self._parents = 0
        self._traces = self._continues = False
        self.traceparent = Slice(NULL, 0)
        # Empty lines before a request are left over from old clients' POSTs (RFC 9112 section 2.2).
        while end - start >= 2 and start[0] == b'\r' and start[1] == b'\n' and skipped < MAX_EMPTY_LINES:
            start += 2
            skipped += 1
        if start == end or (end - start == 1 and start[0] == b'\r'):
            return NEED_MORE
        if token_end(start, start + 1) == start:
            return E_NOT_HTTP
        eol = <const char *>memchr(start, b'\n', end - start)
        if <size_t>((end if eol == NULL else eol) - start) > self.limits.max_target + MAX_BESIDE_TARGET:
            return E_TARGET_LONG
        if eol == NULL:
            return NEED_MORE
        if (eol - 1)[0] != b'\r':
            return E_BARE_LF
        result = self._request_line(start, eol - 1)
        if result:
            return result
        result = self.parse_lines(eol + 1, end, &after)
        if result <= 0:
            return result
        if not self._names_host and self.minor:
            return E_HOST
        if self._authority.at != NULL and not self._is_for_authority():
            return E_HOST
        return after - data

    cdef bint _is_for_authority(self) noexcept nogil:
        """Whether an absolute-form target and Host agree. HTTP/1.0 needs no Host: the target names it then.

        RFC 9112 section 3.2.2 believes the target where they differ; a parser that does not would see another host.
        """
        if self._names_host:
            return same(self._authority, self.host)
        self.host = self._authority
        return _is_host(self.host)

    cdef int _request_line(self, const char *start, const char *end) noexcept nogil:
        """RFC 9112 section 3: method SP request-target SP HTTP-version, with one space each."""
        cdef const char *at = token_end(start, end)
        cdef const char *space
        if at[0] != b' ':
            return E_REQUEST_LINE if at == end else E_METHOD
        self.method = Slice(start, at - start)
        at += 1
        space = <const char *>memchr(at, b' ', end - at)
        if space == NULL or space == at:
            return E_REQUEST_LINE
        if end - space != 9 or memcmp(space + 1, b"HTTP/", 5) != 0 or space[7] != b'.':
            return E_REQUEST_LINE
        if space[6] != b'1' or space[8] < 48 or space[8] > 57:
            return E_VERSION
        self.minor = space[8] - 48
        if is_word(self.method, b"connect") or is_word(self.method, b"trace"):
            return E_METHOD_REFUSED
        return self._target(Slice(at, space - at))

    cdef int _target(self, Slice target) noexcept nogil:
        """origin-form, absolute-form (made origin-form; its authority must equal Host) or `*` for OPTIONS."""
        cdef const char *at = target.at
        cdef const char *end = at + target.size
        cdef bint options = self.method.size == 7 and memcmp(self.method.at, b"OPTIONS", 7) == 0
        if target.size > self.limits.max_target:
            return E_TARGET_LONG
        if _not_visible(target):
            return E_TARGET
        if at[0] == b'/' or (options and target.size == 1 and at[0] == b'*'):
            self.target = target
            return 0
        if target.size > 7 and is_word(Slice(at, 7), b"http://"):
            at += 7
        elif target.size > 8 and is_word(Slice(at, 8), b"https://"):
            at += 8
        else:
            return E_TARGET
        self._authority.at = at
        while at < end and at[0] != b'/' and at[0] != b'?':
            at += 1
        self._authority.size = at - self._authority.at
        # An empty path is `*` for OPTIONS (RFC 9112 section 3.2.4), else `/`.
        self.target = Slice(at, end - at) if at < end else Slice(b"*" if options else b"/", 1)
        return 0 if self._authority.size else E_TARGET

    cdef int special(self, Line *line) noexcept nogil:
        cdef uint8_t field = line.field
        if field == HOST:
            if self._names_host or not _is_host(line.value):
                return E_HOST
            self._names_host = True
            self.host = line.value
        elif field == USER_AGENT:
            self.user_agent = line.value
        elif field == AUTHORIZATION:
            if self.authorization.at != NULL:
                return E_AUTHORIZATIONS
            self.authorization = line.value
        elif field == EXPECT:
            if not is_word(line.value, b"100-continue"):
                return E_EXPECT
            self.flags.expects = self.minor != 0
        elif field == IDEMPOTENCY_KEY:
            self.flags.idempotent = True
        elif FORWARDED_FOR <= field <= FORWARDED:
            self._seen |= <uint32_t>1 << field
        elif field == REQUEST_ID:
            self._ids += 1
            self.request_id = line.value
        elif field == TRACEPARENT:
            self._parents += 1
            self.traceparent = line.value
        else:
            return Head.special(self, line)
        return 0

    cpdef bint keeps_alive(self) noexcept:
        """Whether the client wants its connection kept (RFC 9112 section 9.3)."""
        return not self.flags.close and (self.minor != 0 or self.flags.keep_alive)

    cdef bint choose_id(self, const uint8_t *chance, bint trusted) noexcept nogil:
        """Name the request: True if its client is trusted and has named it, else it is named by ID_SIZE bytes of chance."""
        if trusted and self._ids == 1 and _is_id(self.request_id):
            return True
        put_hex(self._made_id, chance, ID_SIZE)
        self.request_id = Slice(&self._made_id[0], 2 * ID_SIZE)
        return False

    cdef bint has_parent(self, uint8_t *trace_id, uint8_t *span_id, bint *sampled) noexcept nogil:
        """Whether its client has named the trace that it belongs to; then that is set."""
        return self._parents == 1 and read_traceparent(self.traceparent, trace_id, span_id, sampled)

    cdef void set_parent(self, const uint8_t *trace_id, const uint8_t *span_id, bint sampled, bint continues) noexcept nogil:
        """What the backend is told of the trace. continues: it is the client's, whose `tracestate` passes."""
        write_traceparent(self._written_parent, trace_id, span_id, sampled)
        self._traces = True
        self._continues = continues

    cdef size_t bound(self, Forwarding forwarding, Slice client) noexcept nogil:
        """At least as many bytes as `write` will write.

        A line that is passed on may grow by the space after its colon; whatever else is written is counted here.
        """
        return (self.size + self.count + self.host.size + client.size + forwarding._proto.size
                + forwarding._port.size + 2 * forwarding._default_host.size + forwarding._identity.size
                + forwarding._request_id.size + self.request_id.size + 336)

    cdef size_t write(self, char *out, Forwarding forwarding, Slice client, bint trusted) noexcept nogil:
        """The head for the backend, always HTTP/1.1; its size. `client` is the peer's address."""
        cdef char *at = out
        cdef Line *line
        cdef uint32_t passed = TO_BACKEND | <uint32_t>self._continues << TRACESTATE
        cdef int i
        at = put_text(put(at, self.method), b" ")
        if self.target.at[0] == b'?':
            at = put_text(at, b"/")
        at = put_text(put(at, self.target), b" HTTP/1.1\r\n")
        for i in range(self.count):
            line = &self.lines[i]
            if passed >> line.field & 1:
                at = put_line(at, line.name, line.value)
        if not self._names_host:
            at = put_line(at, Slice(b"Host", 4), self._host_or(forwarding))
        if self.framing == CHUNKED:
            at = put_text(at, b"Transfer-Encoding: chunked\r\n")
        if self.flags.upgrade == 3 and self.minor and self.framing == NO_BODY:
            at = put_text(at, b"Connection: upgrade\r\nUpgrade: websocket\r\n")
        if self.flags.expects:
            at = put_text(at, b"Expect: 100-continue\r\n")
        at = self._write_forwarded(at, forwarding, client, trusted)
        if forwarding._request_id.size:
            at = put_line(at, forwarding._request_id, self.request_id)
        if self._traces:
            at = put_line(at, Slice(b"traceparent", 11), Slice(&self._written_parent[0], TRACEPARENT_SIZE))
        at = put(at, forwarding._identity)
        return put_text(at, b"\r\n") - out

    cdef inline Slice _host_or(self, Forwarding forwarding) noexcept nogil:
        """The host that the request is for: as it names it, else the default."""
        return self.host if self.host.at != NULL else forwarding._default_host

    cdef char *_write_forwarded(self, char *out, Forwarding forwarding, Slice client, bint trusted) noexcept nogil:
        """X-Forwarded-*: lbproxy's own; from a trusted peer, what it sent with this peer's address appended."""
        cdef Line *line
        cdef uint32_t kept = self._seen if trusted else 0
        cdef int i
        out = put_text(out, b"X-Forwarded-For: ")
        if kept:
            for i in range(self.count):
                line = &self.lines[i]
                if line.field == FORWARDED_FOR and line.value.size:
                    out = put_text(put(out, line.value), b", ")
        out = put_text(put(out, client), b"\r\n")
        if kept:
            for i in range(self.count):
                line = &self.lines[i]
                if FORWARDED_PROTO <= line.field <= FORWARDED:
                    out = put_line(out, line.name, line.value)
        if not kept & (1 << FORWARDED_PROTO):
            out = put_line(out, Slice(b"X-Forwarded-Proto", 17), forwarding._proto)
        if not kept & (1 << FORWARDED_HOST):
            out = put_line(out, Slice(b"X-Forwarded-Host", 16), self._host_or(forwarding))
        if not kept & (1 << FORWARDED_PORT):
            out = put_line(out, Slice(b"X-Forwarded-Port", 16), forwarding._port)
        return out

    def read(self, bytes data not None):
        """Parse `data`: the size of its head, 0 when it is incomplete, or the Reason why it is refused."""
        cdef Py_ssize_t result = self.parse(data, len(data))
        self._data = data
        return reason_of(result) if result < 0 else result

    def rewritten(self, Forwarding forwarding not None, bytes client not None, bint trusted=False, bytes chance not None=b""):
        """The head that was read last as the backend gets it; ValueError when none was.

        chance: ID_SIZE random bytes, if requests are named.
        """
        if forwarding.request_id:
            if len(chance) != ID_SIZE:
                raise ValueError(f"chance: {ID_SIZE} bytes are needed")
            self.choose_id(<const uint8_t *>slice_of(chance).at, trusted)
        cdef Slice address = slice_of(client)
        cdef size_t bound = self.bound(forwarding, address)
        cdef bytearray out = bytearray(2 * bound)        # twice, so that a wrong bound is seen and not suffered
        cdef size_t size
        if self.size == 0:
            raise ValueError("no head was read")
        size = self.write(<char *>out, forwarding, address, trusted)
        assert size <= bound
        return bytes(out[:size])

    def line(self):
        """(method, target) of the head that was read last, as far as it was understood."""
        return to_bytes(self.method), to_bytes(self.target)
