# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What heads of requests and of responses have in common: how a body is framed, and whether a connection goes on.

RFC 9112 sections 6 and 9. `wire.request_heads` and `wire.response_heads` are the two kinds.
"""

from lbproxy import reasons

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memchr

from lbproxy.wire.fields cimport (
    CONNECTION,
    CONTENT_LENGTH,
    E_LENGTH,
    E_LENGTH_AND_CHUNKED,
    E_TOO_LARGE,
    E_TRANSFER_ENCODING,
    E_VALUE,
    NEED_MORE,
    OTHER,
    STRIP,
    TRANSFER_ENCODING,
    UPGRADE,
    FieldSection,
    Line,
    next_token,
    same_name,
)
from lbproxy.wire.slices cimport Slice, is_word

cdef enum:
    MAX_OPTIONS = 32             # in Connection lines; more is an attack on the loop that drops what they nominate

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


cdef Py_ssize_t head_end(const char *data, size_t size, size_t resume) noexcept nogil:
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


cdef bint _number(Slice *text, uint64_t *number) noexcept nogil:
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


cdef class Head(FieldSection):

    cdef int special(self, Line *line) noexcept nogil:
        """A line of either kind of head that lbproxy must understand; 0 or an error."""
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
            if self.framing == CHUNKED or self.minor == 0 or not is_word(line.value, b"chunked"):
                return E_TRANSFER_ENCODING
            if self.has_length:
                return E_LENGTH_AND_CHUNKED
            self.framing = CHUNKED
        elif field == CONNECTION:
            return self._connection(line.value)
        elif field == UPGRADE:
            # Only websocket is offered on; h2c would carry requests that are not parsed here.
            if is_word(line.value, b"websocket"):
                self.flags.upgrade |= 2
        return 0

    cdef int _connection(self, Slice value) noexcept nogil:
        """Connection options (RFC 9110 section 7.6.1); all but the known ones nominate header lines."""
        cdef const char *at = value.at
        cdef const char *end = value.at + value.size
        cdef Slice token
        while next_token(&at, end, &token):
            self.flags.options += 1
            if token.size == 0 or self.flags.options > MAX_OPTIONS:
                return E_VALUE
            if is_word(token, b"close"):
                self.flags.close = True
            elif is_word(token, b"keep-alive"):
                self.flags.keep_alive = True
            elif is_word(token, b"upgrade"):
                self.flags.upgrade |= 1
            else:
                self.flags.nominated = True
        return 0

    cdef void _drop_nominated(self) noexcept nogil:
        """Strip the lines that Connection lines name. End-to-end ones only: they cannot delete what lbproxy understands."""
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
            while next_token(&at, end, &token):
                for j in range(self.count):
                    line = &self.lines[j]
                    if line.field == OTHER and same_name(line.name, token):
                        line.field = STRIP

    cdef size_t forget(self, size_t size) noexcept nogil:
        """Forget the head before, whose buffer may be gone; how many of `size` bytes may be looked at for this one."""
        self.size = self.count = self.minor = 0
        self.flags = Flags(False, False, 0, False, False, 0, False)
        self.framing = NO_BODY
        self.length = 0
        self.has_length = False
        return size if size < self.limits.max_head else self.limits.max_head

    cdef Py_ssize_t concluded(self, Py_ssize_t result, size_t size) noexcept nogil:
        """A parse's result, once the limit on the whole head was applied to it and nominated lines were dropped."""
        if result == NEED_MORE and size >= self.limits.max_head:
            return E_TOO_LARGE
        if result > 0:
            self.size = result
            if self.flags.nominated:
                self._drop_nominated()
        return result
