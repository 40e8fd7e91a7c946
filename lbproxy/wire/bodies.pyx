# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Message bodies: which bytes belong to one, and which of those are passed on (RFC 9112 sections 6 and 7)."""

from libc.stdint cimport uint8_t, uint64_t

from lbproxy.wire.fields cimport OTHER, FieldSection, FieldTable, Limits, Line
from lbproxy.wire.heads cimport BY_LENGTH, CHUNKED, NO_BODY, UNTIL_CLOSE, Framing
from lbproxy.wire.slices cimport Slice, to_bytes

cdef enum:
    MAX_EXTENSION = 16384        # bytes of chunk extensions in one body
    MAX_TRAILER = 8192           # bytes of a trailer section

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
        self.in_trailer = False
        self.trailer = None
        self.table = table

    cdef BodyStatus next(self, const char *data, size_t size, size_t *used, Slice *span):
        """Look at `size` bytes: `used` of them are dealt with, `span` is what of them to pass on (maybe nothing)."""
        cdef BodyStatus status
        used[0] = 0
        span[0] = Slice(data, 0)
        if self.done:
            return BODY_DONE
        if self.framing == CHUNKED:
            status = self._chunked(data, size, used, span)
            if status == BODY_MORE and self.state == TRAILER and span.size == 0 and used[0] < size:
                return self._trailer(data + used[0], size - used[0], used, span)
            return status
        if self.framing == BY_LENGTH and size > self.remaining:
            size = self.remaining
        used[0] = size
        span[0].size = size
        if self.framing == UNTIL_CLOSE:
            return BODY_MORE
        self.remaining -= size
        self.done = self.remaining == 0
        return BODY_DONE if self.done else BODY_MORE

    cdef BodyStatus _chunked(self, const char *data, size_t size, size_t *used, Slice *span) noexcept nogil:
        """Up to the trailer section. Runs of whole chunks are one span. Chunk extensions are dropped (a recipient must ignore unknown ones).

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
        if self.state == TRAILER and not self.in_trailer and end - at >= 2 and at[0] == b'\r' and at[1] == b'\n':
            self.done = True                 # nearly always: no trailer, and the end in the same span
            at += 2
            begin = at if self.decode else begin
        span[0] = Slice(begin, at - begin)
        used[0] = at - data
        return BODY_DONE if self.done else BODY_MORE

    cdef inline bint _may_lack_cr(self) noexcept nogil:
        """Whether an LF may stand here, where a CR should."""
        return self.bare_lf and (self.state == SIZE or self.state == EXTENSION or self.state == DATA_CR)

    cdef int _framing_byte(self, uint8_t c) noexcept nogil:
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
        cdef FieldSection section
        cdef Line *line
        cdef Py_ssize_t before
        cdef Py_ssize_t over
        cdef const char *after = NULL
        cdef int i
        if not self.in_trailer:
            self.in_trailer = True
            self.trailer = bytearray()
        before = len(self.trailer)
        self.trailer += data[:size]
        used[0] += size
        span[0] = Slice(data, 0)
        section = FieldSection(Limits(MAX_TRAILER, 0, 64), self.table, self.bare_lf)
        i = section.parse_lines(<char *>self.trailer, <char *>self.trailer + len(self.trailer), &after)
        if i < 0 or (i == 0 and len(self.trailer) > MAX_TRAILER):
            return BODY_BAD_TRAILER
        if i == 0:
            return BODY_MORE
        over = len(self.trailer) - (after - <char *>self.trailer)
        used[0] -= over
        if after - <char *>self.trailer > MAX_TRAILER:
            return BODY_BAD_TRAILER
        written = bytearray()
        for i in range(section.count):
            line = &section.lines[i]
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
