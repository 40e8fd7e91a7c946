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
from libc.string cimport memchr, memcmp, memcpy, strlen

from lbproxy import reasons

cdef enum:
    MAX_OPTIONS = 32             # in Connection lines; more is an attack on the loop that drops what they nominate
    MAX_EMPTY_LINES = 2          # before a request line
    MAX_BESIDE_TARGET = 64       # bytes of a request line that are not its target
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

cdef enum:                   # what a byte may stand for in a Host value
    HOST_NAME = 1            # reg-name or IPv4address; narrower than RFC 3986, no browser sends more
    HOST_V6 = 2              # inside the brackets of an IPv6address

cdef uint8_t _NAME[256]      # tchar (RFC 9110 section 5.6.2): lower-cased, `_` as `-`; 0 for every other byte
cdef uint8_t _LOWER[256]     # ASCII letters lower-cased
cdef uint8_t _HOST[256]


cdef void _fill_tables() noexcept:
    cdef int c
    for c in range(256):
        _LOWER[c] = c + 32 if 65 <= c <= 90 else c
    for c in b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz":
        _NAME[c] = 45 if c == 95 else _LOWER[c]
    for c in b"-._0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz":
        _HOST[c] = HOST_NAME
    for c in b":.0123456789ABCDEFabcdef":
        _HOST[c] |= HOST_V6


_fill_tables()


cdef inline bint _same(Slice one, Slice other, const uint8_t *fold) noexcept:
    """Whether two texts are equal when every byte is folded: by `_LOWER`, or header names by `_NAME`."""
    cdef size_t i
    if one.size != other.size:
        return False
    for i in range(one.size):
        if fold[<uint8_t>one.at[i]] != fold[<uint8_t>other.at[i]]:
            return False
    return True


cdef inline bint _is(Slice text, const char *literal) noexcept:
    """Whether a text is a literal, in any case."""
    return _same(text, Slice(literal, strlen(literal)), _LOWER)


cdef inline bint _has_control(Slice text) noexcept:
    """Any control character but a tab (RFC 9110 section 5.5). No early exit, so that the compiler can vectorise it."""
    cdef uint8_t bad = 0
    cdef uint8_t c
    cdef size_t i
    for i in range(text.size):
        c = <uint8_t>text.at[i]
        bad |= ((c < 0x20) & (c != 0x09)) | (c == 0x7F)
    return bad != 0


cdef inline bint _not_visible(Slice text) noexcept:
    """Anything but visible ASCII, or a `#`: not allowed in a request target (RFC 3986, RFC 9112 section 3.2)."""
    cdef uint8_t bad = 0
    cdef uint8_t c
    cdef size_t i
    for i in range(text.size):
        c = <uint8_t>text.at[i]
        bad |= (c < 0x21) | (c > 0x7E) | (c == 0x23)
    return bad != 0


cdef inline Slice _slice(bytes text) noexcept:
    return Slice(<const char *>text, len(text))


cdef inline char *_put(char *out, Slice text) noexcept:
    memcpy(out, text.at, text.size)
    return out + text.size


cdef inline char *_put_text(char *out, const char *literal) noexcept:
    return _put(out, Slice(literal, strlen(literal)))


cdef inline char *_put_line(char *out, Slice name, Slice value) noexcept:
    out = _put_text(_put(out, name), b": ")
    return _put_text(_put(out, value), b"\r\n")


cdef bint _number(Slice *text, uint64_t *number) noexcept:
    """Plain digits only: no sign, no list, and no overflow, as at most 18 of them may count (RFC 9110 section 8.6).

    Leading zeros are legal. They are cut from `text`, because there are readers that take what follows them for octal.
    """
    cdef size_t i
    cdef uint8_t c
    while text.size > 1 and text.at[0] == b'0':
        text.at += 1
        text.size -= 1
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


cdef inline const char *_line_end(const char *start, const char *eol, bint bare_lf) noexcept:
    """Where a line ends whose LF is at `eol`: before its CR. NULL when it has none, unless `bare_lf` lets that pass.

    RFC 9112 section 2.2 allows a recipient to do so; a parser behind it may see other lines then, so it is not the rule.
    """
    if eol > start and (eol - 1)[0] == b'\r':
        return eol - 1
    return eol if bare_lf else NULL


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
    """What header names mean, in any case and with `_` for `-`. A lookup looks at a few bytes and rarely searches."""

    def __cinit__(self, names, prefixes=(), bint allow_underscores=True):
        """names: {name: Field}; prefixes: {how a name begins: Field}, for names that are not in `names`.

        allow_underscores: whether names of no meaning are passed on if they have a `_`.
        """
        cdef uint32_t at
        prefixes = dict(prefixes)
        for at in range(256):
            self._begins[at] = len(prefixes)
        if len(names) > 160 or len(prefixes) > 24:
            raise ValueError("too many header names to strip: at most about 100 in strip_headers")
        self.allow_underscores = allow_underscores
        self._names = [*names, *prefixes]
        for name, field in names.items():
            at = _first_slot(_slice(name))
            while self._slots[at].name.at != NULL:
                at = (at + 1) & 255
            self._slots[at].name = _slice(name)
            self._slots[at].field = <int>field
        for prefix, field in sorted(prefixes.items(), key=_initial):       # else in the order given: the first counts
            if self._prefix_count == 0 or self._prefixes[self._prefix_count - 1].name.at[0] != prefix[0]:
                self._begins[<uint8_t>prefix[0]] = self._prefix_count
            self._prefixes[self._prefix_count].name = _slice(prefix)
            self._prefixes[self._prefix_count].field = <int>field
            self._prefix_count += 1

    cdef uint8_t classify(self, Slice name, bint underscore) noexcept:
        """The meaning of a name; `X_Forwarded_User` means what `X-Forwarded-User` does, and is always stripped."""
        cdef uint8_t field = _meaning(self, name)
        return STRIP if underscore and (field != OTHER or not self.allow_underscores) else field


def _initial(prefix):
    return prefix[0][0]


cdef inline uint32_t _first_slot(Slice name) noexcept:
    """Where a name, which is not empty, may be: its size and three of its bytes tell header names apart well enough."""
    cdef const uint8_t *at = <const uint8_t *>name.at
    return (31 * _NAME[at[0]] + 17 * _NAME[at[name.size // 2]] + 5 * _NAME[at[name.size - 1]] + 29 * name.size) & 255


cdef inline uint8_t _meaning(FieldTable table, Slice name) noexcept:
    cdef uint32_t at = _first_slot(name)
    cdef uint8_t initial = _NAME[<uint8_t>name.at[0]]
    cdef Line *prefix
    cdef int i
    while table._slots[at].name.at != NULL:
        if _same(name, table._slots[at].name, _NAME):
            return table._slots[at].field
        at = (at + 1) & 255
    for i in range(table._begins[initial], table._prefix_count):
        prefix = &table._prefixes[i]
        if <uint8_t>prefix.name.at[0] != initial:
            break
        if name.size >= prefix.name.size and _same(Slice(name.at, prefix.name.size), prefix.name, _NAME):
            return prefix.field
    return OTHER


cdef class Limits:
    """max_head: bytes of a whole head; max_target: bytes of a request target; max_lines: header lines."""

    def __cinit__(self, size_t max_head=131072, size_t max_target=16384, int max_lines=256):
        self.max_head = max_head
        self.max_target = max_target
        self.max_lines = max_lines


# --- heads

cdef class Head:

    def __cinit__(self, Limits limits not None, FieldTable table not None, bint bare_lf=False):
        """The table says what the header names mean; the limits are the listener's.

        bare_lf: whether lines may end with LF alone.
        """
        self.limits = limits
        self.table = table
        self.bare_lf = bare_lf
        self.room = 32
        self.lines = <Line *>malloc(self.room * sizeof(Line))
        if self.lines == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.lines)

    cdef int parse_lines(self, const char *start, const char *end, const char **after) noexcept:
        """Header lines up to the empty one: 1 and `after` behind it, 0 when more bytes are needed, else an error.

        `_forget` comes first.
        """
        cdef const char *eol
        cdef const char *line_end
        cdef int error
        while True:
            eol = <const char *>memchr(start, b'\n', end - start)
            if eol == NULL:
                return NEED_MORE
            line_end = _line_end(start, eol, self.bare_lf)
            if line_end == NULL:
                return E_BARE_LF
            if line_end == start:
                after[0] = eol + 1
                if self.flags.nominated:
                    self._drop_nominated()
                return 1
            if self.count == self.limits.max_lines or (self.count == self.room and not self._grow()):
                return E_TOO_MANY
            error = _scan_line(self, start, line_end)
            if error:
                return error
            start = eol + 1

    cdef bint _grow(self) noexcept:
        cdef Line *grown = <Line *>realloc(self.lines, 2 * self.room * sizeof(Line))
        if grown == NULL:
            return False
        self.lines = grown
        self.room *= 2
        return True

    cdef int special(self, Line *line) noexcept:
        """A line that lbproxy must understand; 0 or an error. The two heads add their own."""
        cdef uint8_t field = line.field
        if field == CONTENT_LENGTH:
            if self.has_length or not _number(&line.value, &self.length):
                return E_LENGTH
            self.has_length = True
            if self.framing == CHUNKED:
                return E_LENGTH_AND_CHUNKED
            self.framing = BY_LENGTH
        elif field == TRANSFER_ENCODING:
            # Exactly one coding, once: lists and unknown codings are how two parsers come to disagree.
            if self.framing == CHUNKED or self.minor == 0 or not _is(line.value, b"chunked"):
                return E_TRANSFER_ENCODING
            if self.has_length:
                return E_LENGTH_AND_CHUNKED
            self.framing = CHUNKED
        elif field == CONNECTION:
            return self._connection(line.value)
        elif field == UPGRADE:
            # Only websocket is offered on; h2c would carry requests that nobody here parses.
            if _is(line.value, b"websocket"):
                self.flags.upgrade |= 2
        return 0

    cdef int _connection(self, Slice value) noexcept:
        """Connection options (RFC 9110 section 7.6.1); all but the known ones nominate header lines."""
        cdef const char *at = value.at
        cdef const char *end = value.at + value.size
        cdef Slice token
        while _next_token(&at, end, &token):
            self.flags.options += 1
            if token.size == 0 or self.flags.options > MAX_OPTIONS:
                return E_VALUE
            if _is(token, b"close"):
                self.flags.close = True
            elif _is(token, b"keep-alive"):
                self.flags.keep_alive = True
            elif _is(token, b"upgrade"):
                self.flags.upgrade |= 1
            else:
                self.flags.nominated = True
        return 0

    cdef void _drop_nominated(self) noexcept:
        """Strip the lines that Connection lines name. End-to-end ones only: nobody deletes what lbproxy understands."""
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
                    if line.field == OTHER and _same(line.name, token, _NAME):
                        line.field = STRIP

    cdef size_t _forget(self, size_t size) noexcept:
        """Forget the head before, whose buffer may be gone; how many of `size` bytes may be looked at for this one."""
        self.size = self.count = self.minor = 0
        self.flags = Flags(False, False, 0, False, False, 0, False)
        self.framing = NO_BODY
        self.length = 0
        self.has_length = False
        return size if size < self.limits.max_head else self.limits.max_head

    cdef Py_ssize_t _sized(self, Py_ssize_t result, size_t size) noexcept:
        """A parse's result, once the limit on the whole head was applied to it."""
        if result == NEED_MORE and size >= self.limits.max_head:
            return E_TOO_LARGE
        if result > 0:
            self.size = result
        return result

    def fields(self):
        """[(name, value, Field)] of the head that was parsed last, while its buffer is there; for rare decisions."""
        cdef Line *line
        cdef int i
        found = []
        for i in range(self.count):
            line = &self.lines[i]
            found.append((to_bytes(line.name), to_bytes(line.value), Field(line.field)))
        return found

    def values(self, uint8_t field):
        """The values of the lines that mean `field`, of the head that was parsed last, while its buffer is there."""
        cdef int i
        found = []
        for i in range(self.count):
            if self.lines[i].field == field:
                found.append(to_bytes(self.lines[i].value))
        return found


cdef inline int _scan_line(Head head, const char *start, const char *end) noexcept:
    """One header line without its CR LF or LF, which is at `end`; 0 or an error."""
    cdef const char *at = start
    cdef Line *line = &head.lines[head.count]
    cdef bint underscore = False
    if start[0] == b' ' or start[0] == b'\t':
        return E_FOLD
    while _NAME[<uint8_t>at[0]]:             # neither CR nor LF is one
        underscore |= at[0] == b'_'
        at += 1
    if at[0] != b':' or at == start:
        return E_NAME
    line.name = Slice(start, at - start)
    line.field = head.table.classify(line.name, underscore)
    at += 1
    while at < end and (at[0] == b' ' or at[0] == b'\t'):
        at += 1
    while end > at and ((end - 1)[0] == b' ' or (end - 1)[0] == b'\t'):
        end -= 1
    line.value = Slice(at, end - at)
    if _has_control(line.value):
        return E_VALUE
    head.count += 1
    return head.special(line) if line.field > STRIP else 0


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


cdef bint _is_host(Slice text) noexcept:
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


cdef class Forwarding:

    def __cinit__(self, bytes proto not None, bytes port not None, bytes default_host not None, bytes identity not None=b""):
        """proto and port as users see them; default_host for HTTP/1.0 requests that name none.

        identity: whole header lines that say who the client is, for the requests of one client connection.
        """
        self.proto = proto
        self.port = port
        self.default_host = default_host
        self.identity = identity

    def identified(self, bytes identity not None):
        """The same for a client of whom these header lines tell."""
        return Forwarding(self.proto, self.port, self.default_host, identity)


cdef enum:                   # a bit for each Field whose lines are passed on in their place; others are written anew
    TO_BACKEND = 1 << OTHER | 1 << HOST | 1 << CONTENT_LENGTH | 1 << AUTHORIZATION | 1 << USER_AGENT \
        | 1 << IDEMPOTENCY_KEY


cdef class RequestHead(Head):

    def __cinit__(self, Limits limits not None, FieldTable table not None):
        """As `Head`; a line of a request always ends with CR LF."""

    cdef Py_ssize_t parse(self, const char *data, size_t size) noexcept:
        """The size of the head, 0 when more bytes are needed, else a negative error."""
        return self._sized(self._parse(data, self._forget(size)), size)

    cdef Py_ssize_t _parse(self, const char *data, size_t size) noexcept:
        cdef const char *start = data
        cdef const char *end = data + size
        cdef const char *eol
        cdef const char *after = NULL
        cdef int skipped = 0
        cdef int result
        self.method = self.target = self._authority = Slice(NULL, 0)
        self.host = self.authorization = self.user_agent = Slice(NULL, 0)
        self._names_host = False
        self._seen = 0
        # Empty lines before a request are left over from old clients' POSTs (RFC 9112 section 2.2).
        while end - start >= 2 and start[0] == b'\r' and start[1] == b'\n' and skipped < MAX_EMPTY_LINES:
            start += 2
            skipped += 1
        if start == end or (end - start == 1 and start[0] == b'\r'):
            return NEED_MORE
        if _NAME[<uint8_t>start[0]] == 0:
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

    cdef bint _is_for_authority(self) noexcept:
        """Whether an absolute-form target and Host agree. HTTP/1.0 needs no Host: the target names it then.

        RFC 9112 section 3.2.2 believes the target where they differ; a parser that does not would see another host.
        """
        if self._names_host:
            return _same(self._authority, self.host, _LOWER)
        self.host = self._authority
        return _is_host(self.host)

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
        if space[6] != b'1' or space[8] < 48 or space[8] > 57:
            return E_VERSION
        self.minor = space[8] - 48
        if _is(self.method, b"connect") or _is(self.method, b"trace"):
            return E_METHOD_REFUSED
        return self._target(Slice(at, space - at))

    cdef int _target(self, Slice target) noexcept:
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
        if target.size > 7 and _is(Slice(at, 7), b"http://"):
            at += 7
        elif target.size > 8 and _is(Slice(at, 8), b"https://"):
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

    cdef int special(self, Line *line) noexcept:
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
            if not _is(line.value, b"100-continue"):
                return E_EXPECT
            self.flags.expects = self.minor != 0
        elif field == IDEMPOTENCY_KEY:
            self.flags.idempotent = True
        elif FORWARDED_FOR <= field <= FORWARDED:
            self._seen |= <uint32_t>1 << field
        else:
            return Head.special(self, line)
        return 0

    cpdef bint keeps_alive(self) noexcept:
        """Whether the client wants its connection kept (RFC 9112 section 9.3)."""
        return not self.flags.close and (self.minor != 0 or self.flags.keep_alive)

    cdef size_t bound(self, Forwarding forwarding, bytes client) noexcept:
        """At least as many bytes as `write` will write.

        A line that is passed on may grow by the space after its colon; whatever else is written is counted here.
        """
        return (self.size + self.count + self.host.size + len(client) + len(forwarding.proto)
                + len(forwarding.port) + 2 * len(forwarding.default_host) + len(forwarding.identity) + 256)

    cdef size_t write(self, char *out, Forwarding forwarding, bytes client, bint trusted) noexcept:
        """The head for the backend, always HTTP/1.1; its size. `client` is the peer's address."""
        cdef char *at = out
        cdef Line *line
        cdef int i
        at = _put_text(_put(at, self.method), b" ")
        if self.target.at[0] == b'?':
            at = _put_text(at, b"/")
        at = _put_text(_put(at, self.target), b" HTTP/1.1\r\n")
        for i in range(self.count):
            line = &self.lines[i]
            if TO_BACKEND >> line.field & 1:
                at = _put_line(at, line.name, line.value)
        if not self._names_host:
            at = _put_line(at, Slice(b"Host", 4), self._host_or(forwarding))
        if self.framing == CHUNKED:
            at = _put_text(at, b"Transfer-Encoding: chunked\r\n")
        if self.flags.upgrade == 3 and self.minor and self.framing == NO_BODY:
            at = _put_text(at, b"Connection: upgrade\r\nUpgrade: websocket\r\n")
        if self.flags.expects:
            at = _put_text(at, b"Expect: 100-continue\r\n")
        at = self._write_forwarded(at, forwarding, client, trusted)
        at = _put(at, _slice(forwarding.identity))
        return _put_text(at, b"\r\n") - out

    cdef inline Slice _host_or(self, Forwarding forwarding) noexcept:
        """The host that the request is for: as it names it, else the default."""
        return self.host if self.host.at != NULL else _slice(forwarding.default_host)

    cdef char *_write_forwarded(self, char *out, Forwarding forwarding, bytes client, bint trusted) noexcept:
        """X-Forwarded-*: lbproxy's own; from a trusted peer, what it sent with this peer's address appended."""
        cdef Line *line
        cdef uint32_t kept = self._seen if trusted else 0
        cdef int i
        out = _put_text(out, b"X-Forwarded-For: ")
        if kept:
            for i in range(self.count):
                line = &self.lines[i]
                if line.field == FORWARDED_FOR and line.value.size:
                    out = _put_text(_put(out, line.value), b", ")
        out = _put_text(_put(out, _slice(client)), b"\r\n")
        if kept:
            for i in range(self.count):
                line = &self.lines[i]
                if FORWARDED_PROTO <= line.field <= FORWARDED:
                    out = _put_line(out, line.name, line.value)
        if not kept & (1 << FORWARDED_PROTO):
            out = _put_line(out, Slice(b"X-Forwarded-Proto", 17), _slice(forwarding.proto))
        if not kept & (1 << FORWARDED_HOST):
            out = _put_line(out, Slice(b"X-Forwarded-Host", 16), self._host_or(forwarding))
        if not kept & (1 << FORWARDED_PORT):
            out = _put_line(out, Slice(b"X-Forwarded-Port", 16), _slice(forwarding.port))
        return out

    def read(self, bytes data not None):
        """Parse `data`: the size of its head, 0 when it is incomplete, or the Reason why it is refused."""
        cdef Py_ssize_t result = self.parse(data, len(data))
        self._data = data
        return reason_of(result) if result < 0 else result

    def rewritten(self, Forwarding forwarding not None, bytes client not None, bint trusted=False):
        """The head that was read last as the backend gets it; ValueError when none was."""
        cdef size_t bound = self.bound(forwarding, client)
        cdef bytearray out = bytearray(2 * bound)        # twice, so that a wrong bound is seen and not suffered
        cdef size_t size
        if self.size == 0:
            raise ValueError("no head was read")
        size = self.write(<char *>out, forwarding, client, trusted)
        assert size <= bound
        return bytes(out[:size])

    def line(self):
        """(method, target) of the head that was read last, as far as it was understood."""
        return to_bytes(self.method), to_bytes(self.target)

    def path_listed(self, tuple paths not None):
        """`path_listed` of the head that was read last."""
        return path_listed(self.target, paths)


cdef class ResponseHead(Head):

    def __cinit__(self, Limits limits not None, FieldTable table not None, bint bare_lf=False):
        """As `Head`; bare_lf: what was read so is written with CR LF."""

    cdef Py_ssize_t parse(self, const char *data, size_t size, bint to_head) noexcept:
        """The size of the head, 0 when more bytes are needed, else a negative error. to_head: it answers a HEAD."""
        self._to_head = to_head
        return self._sized(self._parse(data, self._forget(size)), size)

    cdef Py_ssize_t _parse(self, const char *data, size_t size) noexcept:
        cdef const char *eol = <const char *>memchr(data, b'\n', size)
        cdef const char *line_end
        cdef const char *after = NULL
        cdef int result
        self.status = 0
        self.reason = Slice(NULL, 0)
        self.asks_connection_auth = False
        self.location = -1
        self._extra = 0
        if size and data[0] != b'H':
            return E_STATUS_LINE
        if eol == NULL:
            return NEED_MORE
        line_end = _line_end(data, eol, self.bare_lf)
        if line_end == NULL:
            return E_BARE_LF
        result = self._status_line(data, line_end)
        if result:
            return result
        result = self.parse_lines(eol + 1, data + size, &after)
        if result <= 0:
            return result
        if self.status == 101 and self.flags.upgrade != 3:
            return E_STATUS_LINE             # it switched to something that no client was allowed to ask for
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
        if start[7] < 48 or start[7] > 57 or (end - start > 12 and start[12] != b' '):
            return E_STATUS_LINE
        for i in range(3):
            if code[i] < 48 or code[i] > 57:
                return E_STATUS_LINE
        self.minor = start[7] - 48
        self.status = 100 * (code[0] - 48) + 10 * (code[1] - 48) + (code[2] - 48)
        if self.status < 100 or self.status > 599:
            return E_STATUS_LINE
        self.reason = Slice(start + 13, end - start - 13) if end - start > 13 else Slice(start, 0)
        return E_STATUS_LINE if _has_control(self.reason) else 0

    cdef int special(self, Line *line) noexcept:
        if line.field == WWW_AUTHENTICATE:
            if _mentions(line.value, b"negotiate") or _mentions(line.value, b"ntlm"):
                self.asks_connection_auth = True
        elif line.field == LOCATION:
            if self.location < 0 and line.value.size and line.value.at[0] != b'/':
                self.location = self.count - 1
        else:
            return Head.special(self, line)
        return 0

    cpdef bint keeps_alive(self) noexcept:
        """Whether the backend will keep the lane open (RFC 9112 section 9.3)."""
        if self.framing == UNTIL_CLOSE:
            return False
        return not self.flags.close and (self.minor != 0 or self.flags.keep_alive)

    cdef size_t bound(self, size_t extra) noexcept:
        """At least as many bytes as `write` will write; `extra` is how many of them rewriting locations may add."""
        self._extra = extra
        return self.size + self.count + extra + 128

    cdef size_t write(self, char *out, bytes connection, bint decode, object rewrite_location):
        """The head for the client; its size. connection: the whole line for it, b"" for none.

        rewrite_location(value) gives a new value for Location lines; None leaves them as they are. OverflowError: they
        grew by more than `bound` was told.
        """
        cdef char *at = _put_text(out, b"HTTP/1.1 ")
        cdef Line *line
        cdef bytes value
        cdef Py_ssize_t extra = self._extra
        cdef bint bodiless = self.status < 200 or self.status == 204
        cdef int i
        at[0] = 48 + self.status // 100
        at[1] = 48 + self.status // 10 % 10
        at[2] = 48 + self.status % 10
        at[3] = b' '
        at = _put_text(_put(at + 4, self.reason), b"\r\n")
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
                    extra -= len(value) - <Py_ssize_t>line.value.size
                    if extra < 0:
                        raise OverflowError("rewritten locations are too long")
                    at = _put_line(at, line.name, _slice(value))
        if self.framing == CHUNKED and not decode:
            at = _put_text(at, b"Transfer-Encoding: chunked\r\n")
        if self.status == 101:
            at = _put_text(at, b"Connection: upgrade\r\nUpgrade: websocket\r\n")
        else:
            at = _put(at, _slice(connection))
        return _put_text(at, b"\r\n") - out

    def read(self, bytes data not None, bint to_head=False):
        """Parse `data`: the size of its head, 0 when it is incomplete, or the Reason why it is refused."""
        cdef Py_ssize_t result = self.parse(data, len(data), to_head)
        self._data = data
        return reason_of(result) if result < 0 else result

    def rewritten(self, bytes connection not None, bint decode=False, rewrite_location=None):
        """The head that was read last as the client gets it, its locations grown by 4096 bytes at most."""
        cdef size_t bound = self.bound(4096) + len(connection)
        cdef bytearray out = bytearray(2 * bound)        # twice, so that a wrong bound is seen and not suffered
        cdef size_t size
        if self.size == 0:
            raise ValueError("no head was read")
        size = self.write(<char *>out, connection, decode, rewrite_location)
        assert size <= bound
        return bytes(out[:size])


cdef bint _mentions(Slice text, const char *word) noexcept:
    """Whether a value has a word anywhere, in any case. Too often is safe here: it only makes a lane private."""
    cdef size_t size = strlen(word)
    cdef size_t i = 0
    while i + size <= text.size:
        if _is(Slice(text.at + i, size), word):
            return True
        i += 1
    return False


# --- paths

cdef int path_listed(Slice target, tuple paths) noexcept:
    """1: the path is one of `paths` (lower case) or below one, 0: it is not, 2: it is spelled so that
    `wire.paths.is_denied` must be asked (percent-encoded, empty or dot segments, backslash, parameters)."""
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
        wanted = len(path) if len(path) > 1 else 0       # everything is below /
        if size >= wanted and _same(Slice(target.at, wanted), Slice(path, wanted), _LOWER):
            if size == wanted or target.at[wanted] == b'/':
                return 1
    return 0


# --- bodies

cdef enum:                   # where in a chunked body (RFC 9112 section 7.1) the next byte is
    FIRST_DIGIT = 0
    SIZE = 1
    EXTENSION = 2
    QUOTED = 3               # inside a quoted string of an extension
    ESCAPED = 4              # behind a backslash in it
    SIZE_LF = 5
    DATA = 6
    DATA_CR = 7
    DATA_LF = 8
    TRAILER = 9


cdef class Body:

    cdef void start(self, Framing framing, uint64_t length, bint decode, FieldTable table, bint bare_lf) noexcept:
        """Begin a body. table: what may stand in its trailer section; decode: pass on data without chunk framing.

        bare_lf: whether lines of chunk framing and of the trailer section may end with LF alone.
        """
        self.framing = framing
        self.remaining = length if framing == BY_LENGTH else 0
        self.done = framing == NO_BODY or (framing == BY_LENGTH and length == 0)
        self.decode = decode
        self.bare_lf = bare_lf
        self.state = FIRST_DIGIT
        self.digits = 0
        self.extension = 0
        self.trailer = None
        self.table = table

    cdef BodyStatus next(self, const char *data, size_t size, size_t *used, Slice *span):
        """Look at `size` bytes: `used` of them are dealt with, `span` is what of them to pass on (maybe nothing)."""
        used[0] = 0
        span[0] = Slice(data, 0)
        if self.done:
            return BODY_DONE
        if self.framing == CHUNKED:
            return self._chunked(data, size, used, span)
        if self.framing == BY_LENGTH and size > self.remaining:
            size = self.remaining
        used[0] = size
        span[0].size = size
        if self.framing == UNTIL_CLOSE:
            return BODY_MORE
        self.remaining -= size
        self.done = self.remaining == 0
        return BODY_DONE if self.done else BODY_MORE

    cdef BodyStatus _chunked(self, const char *data, size_t size, size_t *used, Slice *span):
        """Runs of whole chunks are one span. Chunk extensions are dropped (a recipient must ignore unknown ones).

        A line that ends with LF alone ends the span before it, and its end is a span of its own: CR LF.
        """
        cdef const char *at = data
        cdef const char *end = data + size
        cdef const char *begin = data        # of the span
        cdef size_t take
        cdef bint skip, lacks_cr
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
            skip = self.decode or (self.state == SIZE and at[0] == b';') or (
                EXTENSION <= self.state <= ESCAPED and at[0] != b'\r')
            lacks_cr = at[0] == b'\n' and not self.decode and self._may_lack_cr()
            if (skip or lacks_cr) and at > begin:
                break                        # pass on what there is; this byte is looked at again
            if not self._framing_byte(<uint8_t>at[0]):
                return BODY_BAD_CHUNK
            at += 1
            if lacks_cr:
                used[0] = at - data
                span[0] = Slice(b"\r\n", 2)
                return BODY_MORE
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

    cdef inline bint _may_lack_cr(self) noexcept:
        """Whether an LF may stand here, where a CR should."""
        return self.bare_lf and (self.state == SIZE or self.state == EXTENSION or self.state == DATA_CR)

    cdef int _framing_byte(self, uint8_t c) noexcept:
        """One byte of chunk framing; False when it may not stand there."""
        cdef uint8_t digit
        if c == b'\n' and self._may_lack_cr():
            self.state = DATA_LF if self.state == DATA_CR else SIZE_LF
        if self.state <= SIZE:
            digit = c - 48 if 48 <= c <= 57 else (c | 32) - 87 if 97 <= (c | 32) <= 102 else 255
            if digit < 16 and self.digits < 15:
                self.remaining = self.remaining * 16 + digit
                self.digits += 1
                self.state = SIZE
                return True
            if self.state == FIRST_DIGIT or (c != b'\r' and c != b';'):
                return False
            self.state = EXTENSION
        if self.state == EXTENSION and c == b'\r':
            self.state = SIZE_LF
            return True
        if self.state <= ESCAPED:
            self.extension += 1
            if self.state == ESCAPED:
                self.state = QUOTED
            elif c == b'"':
                self.state = QUOTED if self.state == EXTENSION else EXTENSION
            elif c == b'\\' and self.state == QUOTED:
                self.state = ESCAPED
            return (c >= 0x20 or c == b'\t') and c != 0x7F and self.extension <= MAX_EXTENSION
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
        """The trailer section: collected whole, checked like a head, written anew without what may not stand there."""
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
        head = Head(Limits(MAX_TRAILER, 0, 64), self.table, self.bare_lf)
        i = head.parse_lines(<char *>self.trailer, <char *>self.trailer + len(self.trailer), &after)
        if i < 0 or (i == 0 and len(self.trailer) > MAX_TRAILER):
            return BODY_BAD_TRAILER
        if i == 0:
            return BODY_MORE
        over = len(self.trailer) - (after - <char *>self.trailer)
        used[0] -= over
        if after - <char *>self.trailer > MAX_TRAILER:
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

    def begin(
        self, Framing framing, uint64_t length=0, bint decode=False, FieldTable table=None, bint bare_lf=False
    ):
        """`start` for tests."""
        self.start(framing, length, decode, table if table is not None else FieldTable({}), bare_lf)

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
