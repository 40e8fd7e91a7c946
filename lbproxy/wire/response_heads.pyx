# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Response heads: a strict parser, and the writer of what a client gets (RFC 9112 section 4)."""

from libc.string cimport memchr, memcmp, strlen

from lbproxy.wire.fields cimport (
    CONTENT_LENGTH,
    E_BARE_LF,
    E_STATUS_LINE,
    LOCATION,
    NEED_MORE,
    OTHER,
    WWW_AUTHENTICATE,
    FieldTable,
    Limits,
    Line,
    line_end,
)
from lbproxy.wire.heads cimport CHUNKED, NO_BODY, UNTIL_CLOSE, Head, reason_of
from lbproxy.wire.slices cimport Slice, has_control, is_word, put, put_line, put_text, slice_of, to_bytes

cdef enum:                   # a bit for each Field whose lines are passed on in their place
    TO_CLIENT = 1 << OTHER | 1 << WWW_AUTHENTICATE | 1 << LOCATION


cdef class ResponseHead(Head):

    def __cinit__(self, Limits limits not None, FieldTable table not None, bint bare_lf=False):
        """As `Head`; bare_lf: what was read so is written with CR LF."""

    cdef Py_ssize_t parse(self, const char *data, size_t size, bint to_head) noexcept nogil:
        """The size of the head, 0 when more bytes are needed, else a negative error. to_head: it answers a HEAD."""
        self._to_head = to_head
        return self.concluded(self._parse(data, self.forget(size)), size)

    cdef Py_ssize_t _parse(self, const char *data, size_t size) noexcept nogil:
        cdef const char *eol = <const char *>memchr(data, b'\n', size)
        cdef const char *stop
        cdef const char *after = NULL
        cdef int result
        self.status = 0
        self.reason = Slice(NULL, 0)
        self.asks_connection_auth = False
        self.location = -1
        self._growth = 0
        if size and data[0] != b'H':
            return E_STATUS_LINE
        if eol == NULL:
            return NEED_MORE
        stop = line_end(data, eol, self.bare_lf)
        if stop == NULL:
            return E_BARE_LF
        result = self._status_line(data, stop)
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

    cdef int _status_line(self, const char *start, const char *end) noexcept nogil:
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
        return E_STATUS_LINE if has_control(self.reason) else 0

    cdef int special(self, Line *line) noexcept nogil:
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

    cdef int relocate(self, object rewrite_location) except -1:
        """Give Location lines the values that rewrite_location(value) makes of theirs, before `bound` is asked."""
        cdef Line *line
        cdef bytes value
        cdef int i
        self._relocated = []                 # keeps the bytes alive that the lines point into then
        self._growth = 0
        for i in range(self.count):
            line = &self.lines[i]
            if line.field == LOCATION:
                value = rewrite_location(to_bytes(line.value))
                self._relocated.append(value)
                self._growth += len(value)
                line.value = slice_of(value)
        return 0

    cdef size_t bound(self) noexcept nogil:
        """At least as many bytes as `write` will write."""
        return self.size + self.count + self._growth + 128

    cdef size_t write(self, char *out, const char *connection, bint decode) noexcept nogil:
        """The head for the client; its size. connection: the whole line for it, b"" for none."""
        cdef char *at = put_text(out, b"HTTP/1.1 ")
        cdef Line *line
        cdef bint bodiless = self.status < 200 or self.status == 204
        cdef int i
        at[0] = 48 + self.status // 100
        at[1] = 48 + self.status // 10 % 10
        at[2] = 48 + self.status % 10
        at[3] = b' '
        at = put_text(put(at + 4, self.reason), b"\r\n")
        for i in range(self.count):
            line = &self.lines[i]
            if TO_CLIENT >> line.field & 1 or (line.field == CONTENT_LENGTH and not bodiless):
                at = put_line(at, line.name, line.value)
        if self.framing == CHUNKED and not decode:
            at = put_text(at, b"Transfer-Encoding: chunked\r\n")
        if self.status == 101:
            at = put_text(at, b"Connection: upgrade\r\nUpgrade: websocket\r\n")
        else:
            at = put_text(at, connection)
        return put_text(at, b"\r\n") - out

    def read(self, bytes data not None, bint to_head=False):
        """Parse `data`: the size of its head, 0 when it is incomplete, or the Reason why it is refused."""
        cdef Py_ssize_t result = self.parse(data, len(data), to_head)
        self._data = data
        return reason_of(result) if result < 0 else result

    def rewritten(self, bytes connection not None, bint decode=False, rewrite_location=None):
        """The head that was read last as the client gets it; ValueError when none was. Rewrites locations for good."""
        cdef size_t bound
        cdef size_t size
        cdef bytearray out
        if self.size == 0:
            raise ValueError("no head was read")
        if rewrite_location is not None:
            self.relocate(rewrite_location)
        bound = self.bound() + len(connection)
        out = bytearray(2 * bound)           # twice, so that a wrong bound is seen and not suffered
        size = self.write(<char *>out, connection, decode)
        assert size <= bound
        return bytes(out[:size])


cdef bint _mentions(Slice text, const char *word) noexcept nogil:
    """Whether a value has a word anywhere, in any case. Too often is safe here: it only makes a lane private."""
    cdef size_t size = strlen(word)
    cdef size_t i = 0
    while i + size <= text.size:
        if is_word(Slice(text.at + i, size), word):
            return True
        i += 1
    return False
