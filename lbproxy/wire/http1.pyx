# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""A strict HTTP/1.x parser and writer (RFC 9112): bytes in, bytes out, no I/O.

A head is scanned once. Everything ambiguous is an error (a negative code; `reason_of` gives its row in
`lbproxy.reasons`), and a head that was understood is written anew, so bytes that were not understood are never
passed on. Slices point into the buffer that was parsed: they are good until that buffer changes.

`RequestHead`, `ResponseHead` and `Body` are the primitives; `RequestHead.read`, `ResponseHead.read` and
`Body.feed` are the same code behind a Python face, for tests and micro-benchmarks.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcmp, memcpy

from lbproxy import reasons

cdef enum:
    MAX_NOMINATED = 32           # names in Connection lines; more is an attack on the loop that drops them
    MAX_EXTENSION = 16384        # bytes of chunk extensions in one body
    MAX_TRAILER = 8192           # bytes of a trailer section

cdef enum:
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

cdef list _REASONS = [
    None,
    reasons.NOT_HTTP, reasons.BAD_REQUEST_LINE, reasons.BAD_METHOD, reasons.METHOD_REFUSED, reasons.BAD_TARGET,
    reasons.TARGET_TOO_LONG, reasons.BAD_VERSION, reasons.BARE_LF, reasons.OBS_FOLD, reasons.BAD_FIELD_NAME,
    reasons.BAD_FIELD_VALUE, reasons.TOO_MANY_FIELDS, reasons.HEAD_TOO_LARGE, reasons.BAD_HOST,
    reasons.TWO_AUTHORIZATIONS, reasons.BAD_LENGTH, reasons.LENGTH_AND_CHUNKED, reasons.BAD_TRANSFER_ENCODING,
    reasons.BAD_EXPECT, reasons.RESPONSE_MALFORMED,
]


cdef object reason_of(Py_ssize_t error):
    """The row of `lbproxy.reasons` for a negative result of a parse."""
    return _REASONS[-error]


# --- bytes

cdef uint8_t _NAME[256]      # tchar (RFC 9110 section 5.6.2): lower-cased, `_` as `-`; 0 for every other byte
cdef uint8_t _HOST[256]      # what a Host value is made of; narrower than RFC 3986, no browser sends more


cdef void _fill_tables() noexcept:
    cdef bytes tchars = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    cdef bytes host = b"-._~:[]%0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    cdef uint8_t c
    for c in tchars:
        _NAME[c] = c
        if 65 <= c <= 90:
            _NAME[c] = c + 32
    _NAME[95] = 45
    for c in host:
        _HOST[c] = 1


_fill_tables()


cdef inline bint _same(const char *text, size_t size, const char *lower, size_t wanted) noexcept:
    """Case-insensitive comparison with a lower-cased literal."""
    cdef size_t i
    cdef uint8_t c
    if size != wanted:
        return False
    for i in range(size):
        c = <uint8_t>text[i]
        if 65 <= c <= 90:
            c += 32
        if c != <uint8_t>lower[i]:
            return False
    return True


cdef inline bint _has_control(const char *text, size_t size) noexcept:
    """Any control character but a tab (RFC 9110 section 5.5). No early exit, so that the compiler can vectorise it."""
    cdef uint8_t bad = 0
    cdef uint8_t c
    cdef size_t i
    for i in range(size):
        c = <uint8_t>text[i]
        bad |= ((c < 0x20) & (c != 0x09)) | (c == 0x7F)
    return bad != 0


cdef inline bint _not_visible(const char *text, size_t size) noexcept:
    """Anything but visible ASCII, or a `#`: not allowed in a request target (RFC 3986, RFC 9112 section 3.2)."""
    cdef uint8_t bad = 0
    cdef uint8_t c
    cdef size_t i
    for i in range(size):
        c = <uint8_t>text[i]
        bad |= (c < 0x21) | (c > 0x7E) | (c == 0x23)
    return bad != 0


cdef inline char *_put(char *out, const char *text, size_t size) noexcept:
    memcpy(out, text, size)
    return out + size


cdef inline char *_put_line(char *out, Slice name, Slice value) noexcept:
    out = _put(out, name.at, name.size)
    out[0] = b':'
    out[1] = b' '
    out = _put(out + 2, value.at, value.size)
    out[0] = b'\r'
    out[1] = b'\n'
    return out + 2


cdef inline char *_put_number(char *out, uint64_t number) noexcept:
    cdef char digits[20]
    cdef int n = 0
    while True:
        digits[n] = <char>(48 + number % 10)
        number //= 10
        n += 1
        if number == 0:
            break
    while n:
        n -= 1
        out[0] = digits[n]
        out += 1
    return out


cdef bint _number(Slice text, uint64_t *number) noexcept:
    """Plain digits only, at most 18 of them: no sign, no list, no overflow (RFC 9110 section 8.6)."""
    cdef size_t i
    cdef uint8_t c
    if text.size == 0 or text.size > 18:
        return False
    number[0] = 0
    for i in range(text.size):
        c = <uint8_t>text.at[i]
        if c < 48 or c > 57:
            return False
        number[0] = number[0] * 10 + (c - 48)
    return True


cdef bytes to_bytes(Slice text):
    return text.at[:text.size] if text.at != NULL else b""


cdef Py_ssize_t head_end(const char *data, size_t size, size_t resume) noexcept:
    """Where the first empty line ends, however its lines end; 0 when there is none yet.

    For heads that arrive in pieces: `resume` is the size that was seen before, so no byte is looked at twice.
    """
    cdef size_t at = resume - 3 if resume > 3 else 0
    cdef const char *found
    while at < size:
        found = <const char *>memchr(data + at, b'\n', size - at)
        if found == NULL:
            return 0
        at = found - data + 1
        if at < size and data[at] == b'\n':
            return at + 1
        if at + 1 < size and data[at] == b'\r' and data[at + 1] == b'\n':
            return at + 2
    return 0


# --- names

cdef class FieldTable:
    """Header names (lower case, with `-`) and what they mean. A lookup is one hash made while the name is scanned."""

    def __init__(self, names, prefixes=(), allow_underscores=True):
        """names: {name: Field}; prefixes: names that begin so are stripped."""
        cdef bytes name
        cdef uint32_t at
        self.allow_underscores = allow_underscores
        self._names = [*names, *(prefix.encode() for prefix in prefixes)]
        self._prefix_count = len(prefixes)
        if len(names) > 160 or self._prefix_count > 8:
            raise ValueError("too many header names to strip: at most about 100 in strip_headers")
        for name in names:
            at = 0
            for c in name:
                at = at * 31 + _NAME[<uint8_t>c]
            at &= 255
            while self._slots[at].name.at != NULL:
                at = (at + 1) & 255
            self._slots[at].name = Slice(<const char *>name, len(name))
            self._slots[at].field = <uint8_t><int>names[name]
        for i in range(self._prefix_count):
            name = self._names[len(names) + i]
            self._prefixes[i] = Slice(<const char *>name, len(name))

    cdef uint8_t classify(self, const char *name, size_t size, uint32_t hash, bint underscore) noexcept:
        """The meaning of a name; `X_Forwarded_User` means what `X-Forwarded-User` does, and is always stripped."""
        cdef uint32_t at = hash & 255
        cdef uint8_t field = OTHER
        cdef size_t i
        while self._slots[at].name.at != NULL:
            if _same_name(name, size, self._slots[at].name):
                field = self._slots[at].field
                break
            at = (at + 1) & 255
        if field == OTHER:
            for i in range(self._prefix_count):
                if size > self._prefixes[i].size and _same_name(name, self._prefixes[i].size, self._prefixes[i]):
                    return STRIP
        if underscore and (field != OTHER or not self.allow_underscores):
            return STRIP
        return field


cdef inline bint _same_name(const char *name, size_t size, Slice wanted) noexcept:
    cdef size_t i
    if size != wanted.size:
        return False
    for i in range(size):
        if _NAME[<uint8_t>name[i]] != <uint8_t>wanted.at[i]:
            return False
    return True


cdef class Limits:
    """max_head: bytes of a whole head; max_target: bytes of a request target; max_lines: header lines."""

    def __init__(self, size_t max_head=131072, size_t max_target=16384, int max_lines=256):
        self.max_head = max_head
        self.max_target = max_target
        self.max_lines = max_lines


# --- heads

cdef class Head:

    def __cinit__(self, Limits limits not None, FieldTable table not None):
        """The table says what the header names mean; the limits are the listener's."""
        self.limits = limits
        self.table = table
        self.room = 32
        self.lines = <Line *>malloc(self.room * sizeof(Line))
        if self.lines == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.lines)

    cdef int parse_lines(self, const char *start, const char *end, const char **after) noexcept:
        """Header lines up to the empty one: 1 and `after` behind it, 0 when more bytes are needed, else an error."""
        cdef const char *eol
        cdef const char *at
        cdef const char *value
        cdef Line *line
        cdef Line *grown
        cdef uint32_t hash
        cdef uint8_t c
        cdef bint underscore
        cdef int error
        self.count = 0
        self.flags = Flags(False, False, 0, False, 0)
        self.framing = NO_BODY
        self.length = 0
        self.has_length = False
        while True:
            eol = <const char *>memchr(start, b'\n', end - start)
            if eol == NULL:
                return NEED_MORE
            if eol == start or (eol - 1)[0] != b'\r':
                return E_BARE_LF
            if eol - 1 == start:
                after[0] = eol + 1
                if self.flags.nominated:
                    self._drop_nominated()
                return 1
            if start[0] == b' ' or start[0] == b'\t':
                return E_FOLD
            if self.count == self.limits.max_lines:
                return E_TOO_MANY
            if self.count == self.room:
                grown = <Line *>realloc(self.lines, 2 * self.room * sizeof(Line))
                if grown == NULL:
                    return E_TOO_MANY
                self.lines = grown
                self.room *= 2
            line = &self.lines[self.count]
            at = start
            hash = 0
            underscore = False
            while True:
                c = _NAME[<uint8_t>at[0]]
                if c == 0:
                    break
                hash = hash * 31 + c
                underscore |= at[0] == b'_'
                at += 1
            if at[0] != b':' or at == start:
                return E_NAME
            line.name = Slice(start, at - start)
            line.field = self.table.classify(start, at - start, hash, underscore)
            value = at + 1
            at = eol - 1
            while value < at and (value[0] == b' ' or value[0] == b'\t'):
                value += 1
            while at > value and ((at - 1)[0] == b' ' or (at - 1)[0] == b'\t'):
                at -= 1
            if _has_control(value, at - value):
                return E_VALUE
            line.value = Slice(value, at - value)
            self.count += 1
            if line.field > STRIP:
                error = self.special(line)
                if error:
                    return error
            start = eol + 1

    cdef int special(self, Line *line) noexcept:
        """A line that lbproxy must understand; 0 or an error. The two heads add their own."""
        cdef uint8_t field = line.field
        if field == CONTENT_LENGTH:
            if self.has_length or not _number(line.value, &self.length):
                return E_LENGTH
            self.has_length = True
            if self.framing == CHUNKED:
                return E_LENGTH_AND_CHUNKED
            self.framing = BY_LENGTH
        elif field == TRANSFER_ENCODING:
            # Exactly one coding, once: lists and unknown codings are how two parsers come to disagree.
            if self.framing == CHUNKED or self.minor == 0 or not _same(line.value.at, line.value.size, b"chunked", 7):
                return E_TRANSFER_ENCODING
            if self.has_length:
                return E_LENGTH_AND_CHUNKED
            self.framing = CHUNKED
        elif field == CONNECTION:
            return self._connection(line.value)
        elif field == UPGRADE:
            # Only websocket is offered on; h2c would carry requests that nobody here parses.
            if _same(line.value.at, line.value.size, b"websocket", 9):
                self.flags.upgrade |= 2
        return 0

    cdef int _connection(self, Slice value) noexcept:
        """Connection options (RFC 9110 section 7.6.1); names other than the known ones are counted as nominated."""
        cdef const char *at = value.at
        cdef const char *end = value.at + value.size
        cdef Slice token
        while _next_token(&at, end, &token):
            if token.size == 0:
                return E_VALUE
            if _same(token.at, token.size, b"close", 5):
                self.flags.close = True
            elif _same(token.at, token.size, b"keep-alive", 10):
                self.flags.keep_alive = True
            elif _same(token.at, token.size, b"upgrade", 7):
                self.flags.upgrade |= 1
            else:
                self.flags.nominated += 1
                if self.flags.nominated > MAX_NOMINATED:
                    return E_VALUE
        return 0

    cdef void _drop_nominated(self) noexcept:
        """Strip the lines that a Connection line names. Only end-to-end ones: nobody deletes what lbproxy understands."""
        cdef const char *at
        cdef const char *end
        cdef Slice token
        cdef Line *line
        cdef int i, j
        for i in range(self.count):
            if self.lines[i].field != CONNECTION:
                continue
            at = self.lines[i].value.at
            end = at + self.lines[i].value.size
            while _next_token(&at, end, &token):
                for j in range(self.count):
                    line = &self.lines[j]
                    if line.field == OTHER and _same_token(line.name, token):
                        line.field = STRIP

    cdef Py_ssize_t _sized(self, Py_ssize_t result, size_t size) noexcept:
        """A parse's result, once the limit on the whole head was applied to it."""
        if result == NEED_MORE:
            return E_TOO_LARGE if size >= self.limits.max_head else NEED_MORE
        if result > 0:
            if <size_t>result > self.limits.max_head:
                return E_TOO_LARGE
            self.size = result
        return result

    def fields(self):
        """[(name, value, Field)] of the head that was read last; for tests and rare decisions."""
        cdef Line *line
        cdef int i
        found = []
        for i in range(self.count):
            line = &self.lines[i]
            found.append((to_bytes(line.name), to_bytes(line.value), Field(line.field)))
        return found


cdef bint _next_token(const char **at, const char *end, Slice *token) noexcept:
    """The next member of a comma-separated list of tokens (RFC 9110 section 5.6.1); a size of 0 is a bad one."""
    cdef const char *p = at[0]
    while p < end and (p[0] == b',' or p[0] == b' ' or p[0] == b'\t'):
        p += 1
    if p == end:
        return False
    token.at = p
    while p < end and _NAME[<uint8_t>p[0]] != 0:
        p += 1
    token.size = p - token.at
    at[0] = p
    return True


cdef bint _same_token(Slice one, Slice other) noexcept:
    cdef size_t i
    if one.size != other.size:
        return False
    for i in range(one.size):
        if _NAME[<uint8_t>one.at[i]] != _NAME[<uint8_t>other.at[i]]:
            return False
    return True


cdef class Forwarding:

    def __init__(self, bytes proto not None, bytes port not None, bytes default_host not None):
        """proto and port as users see them; default_host for HTTP/1.0 requests that name none."""
        self.proto = proto
        self.port = port
        self.default_host = default_host


cdef class RequestHead(Head):

    cdef Py_ssize_t parse(self, const char *data, size_t size) noexcept:
        """The size of the head, 0 when more bytes are needed, else a negative error."""
        return self._sized(self._parse(data, size), size)

    cdef Py_ssize_t _parse(self, const char *data, size_t size) noexcept:
        cdef const char *start = data
        cdef const char *end = data + size
        cdef const char *eol
        cdef const char *after = NULL
        cdef int result
        # An empty line or two before a request is left over from old clients' POSTs (RFC 9112 section 2.2).
        while start + 1 < end and start[0] == b'\r' and start[1] == b'\n':
            start += 2
        if start == end or (start + 1 == end and start[0] == b'\r'):
            return NEED_MORE
        if _NAME[<uint8_t>start[0]] == 0:
            return E_NOT_HTTP
        eol = <const char *>memchr(start, b'\n', end - start)
        if eol == NULL:
            return E_TARGET_LONG if <size_t>(end - start) > self.limits.max_target + 64 else NEED_MORE
        if (eol - 1)[0] != b'\r':
            return E_BARE_LF
        result = self._request_line(start, eol - 1)
        if result:
            return result
        self.host = self.authorization = self.user_agent = Slice(NULL, 0)
        self._seen = 0
        result = self.parse_lines(eol + 1, end, &after)
        if result <= 0:
            return result
        if self.host.at == NULL and (self.minor == 1 or self._authority.at != NULL):
            return E_HOST
        if self._authority.at != NULL and not _same_token(self._authority, self.host):
            return E_HOST
        return after - data

    cdef int _request_line(self, const char *start, const char *end) noexcept:
        """RFC 9112 section 3: method SP request-target SP HTTP-version, with one space each."""
        cdef const char *at = start
        cdef const char *space
        while _NAME[<uint8_t>at[0]] != 0:
            at += 1
        if at[0] != b' ':
            return E_REQUEST_LINE if at == end else E_METHOD
        self.method = Slice(start, at - start)
        at += 1
        space = <const char *>memchr(at, b' ', end - at)
        if space == NULL or space == at:
            return E_REQUEST_LINE
        if end - space != 9 or memcmp(space + 1, b"HTTP/", 5) != 0 or space[7] != b'.':
            return E_REQUEST_LINE
        if space[6] != b'1' or (space[8] != b'0' and space[8] != b'1'):
            return E_VERSION
        self.minor = space[8] - 48
        if _same(self.method.at, self.method.size, b"connect", 7) or _same(self.method.at, self.method.size, b"trace", 5):
            return E_METHOD_REFUSED
        return self._target(at, space - at)

    cdef int _target(self, const char *start, size_t size) noexcept:
        """origin-form, absolute-form (made origin-form; its authority must equal Host) or `*` for OPTIONS."""
        cdef size_t at = 0
        self._authority = Slice(NULL, 0)
        if size > self.limits.max_target:
            return E_TARGET_LONG
        if _not_visible(start, size):
            return E_TARGET
        if start[0] != b'/' and not (size == 1 and start[0] == b'*' and self.method.size == 7
                                     and memcmp(self.method.at, b"OPTIONS", 7) == 0):
            if size > 7 and _same(start, 7, b"http://", 7):
                at = 7
            elif size > 8 and _same(start, 8, b"https://", 8):
                at = 8
            else:
                return E_TARGET
            self._authority.at = start + at
            while at < size and start[at] != b'/' and start[at] != b'?':
                at += 1
            self._authority.size = start + at - self._authority.at
            if self._authority.size == 0:
                return E_TARGET
        self.target = Slice(start + at, size - at)
        return 0

    cdef int special(self, Line *line) noexcept:
        cdef uint8_t field = line.field
        cdef size_t i
        if field == HOST:
            if self.host.at != NULL or line.value.size == 0:
                return E_HOST
            for i in range(line.value.size):
                if not _HOST[<uint8_t>line.value.at[i]]:
                    return E_HOST
            self.host = line.value
        elif field == USER_AGENT:
            self.user_agent = line.value
        elif field == AUTHORIZATION:
            if self.authorization.at != NULL:
                return E_AUTHORIZATIONS
            self.authorization = line.value
        elif field == EXPECT:
            if not _same(line.value.at, line.value.size, b"100-continue", 12):
                return E_EXPECT
            self.flags.expects = self.minor == 1
        elif FORWARDED_FOR <= field <= FORWARDED:
            self._seen |= <uint32_t>1 << field
        else:
            return Head.special(self, line)
        return 0

    cdef bint keeps_alive(self) noexcept:
        """Whether the client wants its connection kept (RFC 9112 section 9.3)."""
        return not self.flags.close and (self.minor == 1 or self.flags.keep_alive)

    cdef size_t bound(self, Forwarding forwarding, bytes client) noexcept:
        """At least as many bytes as `write` will write."""
        return (self.size + self.count + 3 * self.host.size + len(client) + len(forwarding.proto)
                + len(forwarding.port) + 2 * len(forwarding.default_host) + 256)

    cdef size_t write(self, char *out, Forwarding forwarding, bytes client, bint trusted) noexcept:
        """The head for the backend, always HTTP/1.1; its size. `client` is the peer's address."""
        cdef char *at = out
        cdef Line *line
        cdef int i
        at = _put(at, self.method.at, self.method.size)
        at[0] = b' '
        at += 1
        if self.target.size == 0 or self.target.at[0] == b'?':
            at[0] = b'/'
            at += 1
        at = _put(at, self.target.at, self.target.size)
        at = _put(at, b" HTTP/1.1\r\n", 11)
        for i in range(self.count):
            line = &self.lines[i]
            if line.field == OTHER or HOST <= line.field <= USER_AGENT:
                if CONNECTION <= line.field <= EXPECT or line.field == TRANSFER_ENCODING:
                    continue
                at = _put_line(at, line.name, line.value)
        if self.host.at == NULL:
            at = _put_line(at, Slice(b"Host", 4), Slice(<const char *>forwarding.default_host, len(forwarding.default_host)))
        if self.framing == CHUNKED:
            at = _put(at, b"Transfer-Encoding: chunked\r\n", 28)
        if self.flags.upgrade == 3 and self.minor == 1 and self.framing == NO_BODY:
            at = _put(at, b"Connection: upgrade\r\nUpgrade: websocket\r\n", 41)
        if self.flags.expects:
            at = _put(at, b"Expect: 100-continue\r\n", 22)
        at = self._write_forwarded(at, forwarding, client, trusted)
        return _put(at, b"\r\n", 2) - out

    cdef char *_write_forwarded(self, char *out, Forwarding forwarding, bytes client, bint trusted) noexcept:
        """X-Forwarded-*: lbproxy's own; from a trusted peer, what it sent with this peer's address appended."""
        cdef Line *line
        cdef Slice host = self.host
        cdef uint32_t kept = self._seen if trusted else 0
        cdef int i
        if host.at == NULL:
            host = Slice(<const char *>forwarding.default_host, len(forwarding.default_host))
        out = _put(out, b"X-Forwarded-For: ", 17)
        if kept:
            for i in range(self.count):
                line = &self.lines[i]
                if line.field == FORWARDED_FOR and line.value.size:
                    out = _put(out, line.value.at, line.value.size)
                    out = _put(out, b", ", 2)
        out = _put(out, <const char *>client, len(client))
        out = _put(out, b"\r\n", 2)
        if kept:
            for i in range(self.count):
                line = &self.lines[i]
                if FORWARDED_PROTO <= line.field <= FORWARDED:
                    out = _put_line(out, line.name, line.value)
        if not kept & (1 << FORWARDED_PROTO):
            out = _put_line(out, Slice(b"X-Forwarded-Proto", 17),
                            Slice(<const char *>forwarding.proto, len(forwarding.proto)))
        if not kept & (1 << FORWARDED_HOST):
            out = _put_line(out, Slice(b"X-Forwarded-Host", 16), host)
        if not kept & (1 << FORWARDED_PORT):
            out = _put_line(out, Slice(b"X-Forwarded-Port", 16),
                            Slice(<const char *>forwarding.port, len(forwarding.port)))
        return out

    def read(self, bytes data not None):
        """Parse `data`: the size of its head, 0 when it is incomplete, or the Reason why it is refused."""
        cdef Py_ssize_t result = self.parse(data, len(data))
        return reason_of(result) if result < 0 else result

    def rewritten(self, Forwarding forwarding not None, bytes client not None, bint trusted):
        """The head that was read last as the backend gets it."""
        cdef bytearray out = bytearray(self.bound(forwarding, client))
        return bytes(out[:self.write(<char *>out, forwarding, client, trusted)])


cdef class ResponseHead(Head):

    cdef Py_ssize_t parse(self, const char *data, size_t size, bint to_head) noexcept:
        """The size of the head, 0 when more bytes are needed, else a negative error. to_head: it answers a HEAD."""
        self._to_head = to_head
        return self._sized(self._parse(data, size), size)

    cdef Py_ssize_t _parse(self, const char *data, size_t size) noexcept:
        cdef const char *eol = <const char *>memchr(data, b'\n', size)
        cdef const char *after = NULL
        cdef int result
        if size and data[0] != b'H':
            return E_STATUS_LINE
        if eol == NULL:
            return NEED_MORE
        if eol == data or (eol - 1)[0] != b'\r':
            return E_BARE_LF
        result = self._status_line(data, eol - 1)
        if result:
            return result
        self.asks_connection_auth = False
        self.location = -1
        result = self.parse_lines(eol + 1, data + size, &after)
        if result <= 0:
            return result
        # RFC 9112 section 6.3: what the status and the method say comes before the header lines.
        if self._to_head or self.status < 200 or self.status == 204 or self.status == 304:
            self.framing = NO_BODY
        elif self.framing == NO_BODY:
            self.framing = UNTIL_CLOSE
        return after - data

    cdef int _status_line(self, const char *start, const char *end) noexcept:
        """RFC 9112 section 4; a missing space before an empty reason is common and harmless."""
        cdef const char *code = start + 9
        cdef int i
        if end - start < 12 or memcmp(start, b"HTTP/1.", 7) != 0 or start[8] != b' ':
            return E_STATUS_LINE
        if (start[7] != b'0' and start[7] != b'1') or (end - start > 12 and start[12] != b' '):
            return E_STATUS_LINE
        for i in range(3):
            if code[i] < 48 or code[i] > 57:
                return E_STATUS_LINE
        self.minor = start[7] - 48
        self.status = 100 * (code[0] - 48) + 10 * (code[1] - 48) + (code[2] - 48)
        if self.status < 100 or self.status > 599:
            return E_STATUS_LINE
        self.reason = Slice(start + 13, end - start - 13) if end - start > 13 else Slice(start, 0)
        return E_STATUS_LINE if _has_control(self.reason.at, self.reason.size) else 0

    cdef int special(self, Line *line) noexcept:
        if line.field == WWW_AUTHENTICATE:
            if _mentions(line.value, b"negotiate", 9) or _mentions(line.value, b"ntlm", 4):
                self.asks_connection_auth = True
        elif line.field == LOCATION:
            if self.location < 0 and line.value.size and line.value.at[0] != b'/':
                self.location = self.count - 1
        else:
            return Head.special(self, line)
        return 0

    cdef bint keeps_alive(self) noexcept:
        """Whether the backend will keep the lane open (RFC 9112 section 9.3)."""
        if self.framing == UNTIL_CLOSE:
            return False
        return not self.flags.close and (self.minor == 1 or self.flags.keep_alive)

    cdef size_t bound(self, size_t extra) noexcept:
        """At least as many bytes as `write` will write, but for rewritten locations: those are `extra`."""
        return self.size + self.count + extra + 128

    cdef size_t write(self, char *out, bytes connection, bint decode, object rewrite_location):
        """The head for the client; its size. connection: the whole line for it, b"" for none.

        rewrite_location(value) gives a new value for Location lines; None leaves them as they are.
        """
        cdef char *at = out
        cdef Line *line
        cdef bytes value
        cdef bint bodiless = self.status < 200 or self.status == 204
        cdef int i
        at = _put(at, b"HTTP/1.1 ", 9)
        at = _put_number(at, self.status)
        at[0] = b' '
        at = _put(at + 1, self.reason.at, self.reason.size)
        at = _put(at, b"\r\n", 2)
        for i in range(self.count):
            line = &self.lines[i]
            if line.field == OTHER or line.field == WWW_AUTHENTICATE:
                at = _put_line(at, line.name, line.value)
            elif line.field == CONTENT_LENGTH:
                if not bodiless:
                    at = _put_line(at, line.name, line.value)
            elif line.field == LOCATION:
                if rewrite_location is None:
                    at = _put_line(at, line.name, line.value)
                else:
                    value = rewrite_location(to_bytes(line.value))
                    at = _put_line(at, line.name, Slice(<const char *>value, len(value)))
        if self.framing == CHUNKED and not decode:
            at = _put(at, b"Transfer-Encoding: chunked\r\n", 28)
        if self.status == 101:
            at = _put(at, b"Connection: upgrade\r\nUpgrade: websocket\r\n", 41)
        else:
            at = _put(at, <const char *>connection, len(connection))
        return _put(at, b"\r\n", 2) - out

    def read(self, bytes data not None, bint to_head=False):
        """Parse `data`: the size of its head, 0 when it is incomplete, or the Reason why it is refused."""
        cdef Py_ssize_t result = self.parse(data, len(data), to_head)
        return reason_of(result) if result < 0 else result

    def rewritten(self, bytes connection not None, bint decode=False, rewrite_location=None):
        """The head that was read last as the client gets it."""
        cdef bytearray out = bytearray(self.bound(4096))
        return bytes(out[:self.write(<char *>out, connection, decode, rewrite_location)])


cdef bint _mentions(Slice text, const char *lower, size_t size) noexcept:
    """Whether a value has a word anywhere, in any case. Too often is safe here: it only makes a lane private."""
    cdef size_t i = 0
    while i + size <= text.size:
        if _same(text.at + i, size, lower, size):
            return True
        i += 1
    return False


# --- paths

cdef int path_listed(Slice target, tuple paths) noexcept:
    """1: the path is one of `paths` (lower case) or below one, 0: it is not, 2: it is spelled so that
    `wire.paths.normalised` must be asked (percent-encoded, empty or dot segments, backslash, parameters)."""
    cdef bytes path
    cdef size_t size = 0
    cdef size_t wanted
    cdef uint8_t c
    cdef uint8_t before = 0
    while size < target.size:
        c = <uint8_t>target.at[size]
        if c == b'?':
            break
        if c == b'%' or c == b'\\' or c == b';' or (before == b'/' and (c == b'/' or c == b'.')):
            return 2
        before = c
        size += 1
    for path in paths:
        wanted = len(path)
        if size >= wanted and _same(target.at, wanted, <const char *>path, wanted):
            if size == wanted or target.at[wanted] == b'/':
                return 1
    return 0


# --- bodies

cdef enum:                   # where in a chunked body (RFC 9112 section 7.1) the next byte is
    FIRST_DIGIT = 0
    SIZE = 1
    EXTENSION = 2
    SIZE_LF = 3
    DATA = 4
    DATA_CR = 5
    DATA_LF = 6
    TRAILER = 7


cdef class Body:

    cdef void start(self, Framing framing, uint64_t length, bint decode, FieldTable table) noexcept:
        """Begin a body. table: what may stand in its trailer section; decode: pass on data without chunk framing."""
        self.framing = framing
        self.remaining = length if framing == BY_LENGTH else 0
        self.done = framing == NO_BODY or (framing == BY_LENGTH and length == 0)
        self.decode = decode
        self.state = FIRST_DIGIT
        self.digits = 0
        self.extension = 0
        self.trailer = None
        self.table = table

    cdef BodyStatus next(self, const char *data, size_t size, size_t *used, Slice *span):
        """Look at `size` bytes: `used` of them are dealt with, `span` is what of them to pass on (maybe nothing)."""
        if self.framing == CHUNKED:
            return BODY_DONE if self.done else self._chunked(data, size, used, span)
        if self.framing == BY_LENGTH and size > self.remaining:
            size = self.remaining
        used[0] = size
        span[0] = Slice(data, size)
        if self.framing == UNTIL_CLOSE:
            return BODY_MORE
        self.remaining -= size
        self.done = self.remaining == 0
        return BODY_DONE if self.done else BODY_MORE

    cdef BodyStatus _chunked(self, const char *data, size_t size, size_t *used, Slice *span):
        """Runs of whole chunks are one span. Chunk extensions are dropped (a recipient must ignore unknown ones)."""
        cdef const char *at = data
        cdef const char *end = data + size
        cdef const char *begin = data        # of the span
        cdef size_t take
        cdef bint skip
        while at < end:
            if self.state == DATA:
                take = end - at
                if take > self.remaining:
                    take = self.remaining
                self.remaining -= take
                at += take
                if self.remaining == 0:
                    self.state = DATA_CR
                continue
            if self.state == TRAILER:
                break
            skip = self.decode or (self.state == EXTENSION and at[0] != b'\r') or (self.state == SIZE and at[0] == b';')
            if skip and at > begin:
                break                        # pass on what there is; this byte is looked at again
            if not self._framing_byte(<uint8_t>at[0]):
                return BODY_BAD_CHUNK
            at += 1
            if skip:
                begin = at
        if self.state == TRAILER and self.trailer is None and end - at >= 2 and at[0] == b'\r' and at[1] == b'\n':
            self.done = True                 # nearly always: no trailer, and the end in the same span
            at += 2
            begin = at if self.decode else begin
        span[0] = Slice(begin, at - begin)
        used[0] = at - data
        if self.done:
            return BODY_DONE
        if self.state != TRAILER or at > begin or at == end:
            return BODY_MORE
        return self._trailer(at, end - at, used, span)

    cdef int _framing_byte(self, uint8_t c) noexcept:
        """One byte of chunk framing; False when it may not stand there."""
        cdef uint8_t digit
        if self.state <= SIZE:
            digit = c - 48 if 48 <= c <= 57 else (c | 32) - 87 if 97 <= (c | 32) <= 102 else 255
            if digit < 16 and self.digits < 15:
                self.remaining = self.remaining * 16 + digit
                self.digits += 1
                self.state = SIZE
                return True
            if self.state == FIRST_DIGIT or (c != b'\r' and c != b';'):
                return False
            self.state = SIZE_LF if c == b'\r' else EXTENSION
            return True
        if self.state == EXTENSION:
            self.extension += 1
            if c == b'\r':
                self.state = SIZE_LF
            return (c >= 0x20 or c == b'\r' or c == b'\t') and c != 0x7F and self.extension <= MAX_EXTENSION
        if self.state == SIZE_LF:
            self.digits = 0
            self.state = DATA if self.remaining else TRAILER
            return c == b'\n'
        if self.state == DATA_CR:
            self.state = DATA_LF
            return c == b'\r'
        self.state = FIRST_DIGIT
        return c == b'\n'

    cdef BodyStatus _trailer(self, const char *data, size_t size, size_t *used, Slice *span):
        """The trailer section: collected whole, checked like a head, and written anew without what may not stand there."""
        cdef Head head
        cdef Line *line
        cdef Py_ssize_t before
        cdef Py_ssize_t over
        cdef const char *after = NULL
        cdef int i
        if self.trailer is None:
            self.trailer = bytearray()
        before = len(self.trailer)
        self.trailer += data[:size]
        used[0] += size
        span[0] = Slice(data, 0)
        head = Head(Limits(MAX_TRAILER, 0, 64), self.table)
        i = head.parse_lines(<char *>self.trailer, <char *>self.trailer + len(self.trailer), &after)
        if i < 0 or (i == 0 and len(self.trailer) > MAX_TRAILER):
            return BODY_BAD_TRAILER
        if i == 0:
            return BODY_MORE
        over = len(self.trailer) - (after - <char *>self.trailer)
        used[0] -= over
        if over > <Py_ssize_t>size or after - <char *>self.trailer > MAX_TRAILER:
            return BODY_BAD_TRAILER
        written = bytearray()
        for i in range(head.count):
            line = &head.lines[i]
            if line.field == OTHER:
                written += to_bytes(line.name) + b": " + to_bytes(line.value) + b"\r\n"
        self.trailer = written + b"\r\n"
        self.done = True
        if not self.decode:
            span[0] = Slice(<char *>self.trailer, len(self.trailer))
        return BODY_DONE

    def begin(self, Framing framing, uint64_t length=0, bint decode=False, FieldTable table=None):
        """`start` for tests."""
        self.start(framing, length, decode, table if table is not None else FieldTable({}))

    def feed(self, bytes data not None):
        """(what is passed on, how many bytes were used); raises ValueError when the framing is broken."""
        cdef const char *at = data
        cdef size_t size = len(data)
        cdef size_t used = 0
        cdef Slice span
        cdef BodyStatus status = BODY_MORE
        passed = []
        while size and status == BODY_MORE and not self.done:
            used = 0
            status = self.next(at, size, &used, &span)
            if status > BODY_DONE:
                raise ValueError("bad chunk" if status == BODY_BAD_CHUNK else "bad trailer")
            passed.append(to_bytes(span))
            at += used
            size -= used
        return b"".join(passed), len(data) - size
