# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""One request as one line of JSON: what the access log says, in which order, and how it is escaped.

Every string may hold whatever a client sent. A line is printable ASCII, so no client can end it, forge another one
or reach the terminal that shows it (CVE-2024-45808 was that in Envoy); strings are capped, so none can flood the disk.
Escapes are those of RFC 8259 section 7, and DEL, which JSON lets stand as it is.
"""

import sys

from lbproxy.control.log.timestamp import date_and_time

from cpython.tuple cimport PyTuple_Check, PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.math cimport llrint
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdio cimport sprintf
from libc.stdlib cimport realloc
from libc.string cimport memcpy, strlen

cdef extern from "Python.h":
    int PyUnicode_KIND(object text)
    void *PyUnicode_DATA(object text)
    uint32_t PyUnicode_READ(int kind, void *data, Py_ssize_t index) nogil
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    object PyUnicode_New(Py_ssize_t size, uint32_t highest)

cdef enum:
    TIME, LISTENER, CLIENT, METHOD, TARGET, HOST, PROTOCOL, STATUS, BYTES_IN, BYTES_OUT
    USER_AGENT, USER, BACKEND, LANE, REUSED, TRIES, CONNECT_MS, FIRST_BYTE_MS, TOTAL_MS, REASON, REQUEST_ID, TRACE_ID
    FIELDS

cdef enum:
    LATIN1 = 1               # PyUnicode_1BYTE_KIND
    LONGEST_ESCAPE = 12      # of a character: two of \uXXXX
    AROUND = 64              # bytes of a value's key, quotes and mark of being cut

MAX_TARGET = 2048
"""Characters; what is longer is cut and ends in a mark with its whole length."""

MAX_USER_AGENT = 512
MAX_USER = 256
MAX_HOST = 256
MAX_METHOD = 32

cdef Py_ssize_t[FIELDS] _LIMITS
cdef char[256] _SHORT        # of characters with an escape of two: the second one
cdef char *_line = NULL      # where lines are made; nothing between its first and its last use runs Python
cdef size_t _room = 0
cdef int64_t _second = -1
cdef str _date = ""


cdef _set_tables():
    for i in range(FIELDS):
        _LIMITS[i] = sys.maxsize      # lbproxy's own words, and the names of its configuration
    _LIMITS[TARGET], _LIMITS[USER_AGENT], _LIMITS[USER] = MAX_TARGET, MAX_USER_AGENT, MAX_USER
    _LIMITS[HOST], _LIMITS[METHOD] = MAX_HOST, MAX_METHOD
    for i in range(256):
        _SHORT[i] = 0
    for code, letter in zip(b'"\\\b\f\n\r\t', b'"\\bfnrt'):
        _SHORT[code] = letter


_set_tables()


def line(record not None):
    """A record (see `lbproxy.record.Record`) as one JSON object, its keys in the order of its fields, with the line's end."""
    global _second, _date
    cdef int64_t milliseconds
    cdef char *out
    cdef object text
    if not PyTuple_Check(record) or PyTuple_GET_SIZE(record) != FIELDS:
        raise TypeError(f"a record has {FIELDS} fields: {record!r}")
    milliseconds = llrint(<double>_field(record, TIME) * 1000)
    if milliseconds // 1000 != _second:
        _second = milliseconds // 1000
        _date = date_and_time(_second)
    out = _reserve(record)
    out = _text(out, b'{"time":"')
    memcpy(out, PyUnicode_DATA(_date), PyUnicode_GET_LENGTH(_date))
    out += PyUnicode_GET_LENGTH(_date)
    out = _thousandths(out, milliseconds % 1000)
    out = _text(out, b'Z"')
    out = _string(out, b',"listener":', record, LISTENER)
    out = _string(out, b',"client":', record, CLIENT)
    out = _string(out, b',"method":', record, METHOD)
    out = _string(out, b',"target":', record, TARGET)
    out = _string(out, b',"host":', record, HOST)
    out = _string(out, b',"protocol":', record, PROTOCOL)
    out = _number(_text(out, b',"status":'), _field(record, STATUS))
    out = _number(_text(out, b',"bytes_in":'), _field(record, BYTES_IN))
    out = _number(_text(out, b',"bytes_out":'), _field(record, BYTES_OUT))
    out = _string(out, b',"user_agent":', record, USER_AGENT)
    out = _string(out, b',"user":', record, USER)
    out = _string(out, b',"backend":', record, BACKEND)
    out = _string(out, b',"lane":', record, LANE)
    out = _text(out, b',"reused":true' if _field(record, REUSED) is True else b',"reused":false')
    out = _number(_text(out, b',"tries":'), _field(record, TRIES))
    out = _milliseconds(_text(out, b',"connect_ms":'), _field(record, CONNECT_MS))
    out = _milliseconds(_text(out, b',"first_byte_ms":'), _field(record, FIRST_BYTE_MS))
    out = _milliseconds(_text(out, b',"total_ms":'), _field(record, TOTAL_MS))
    out = _string(out, b',"reason":', record, REASON)
    out = _string(out, b',"request_id":', record, REQUEST_ID)
    out = _string(out, b',"trace_id":', record, TRACE_ID)
    out = _text(out, b'}\n')
    text = PyUnicode_New(out - _line, 127)
    memcpy(PyUnicode_DATA(text), _line, out - _line)
    return text


cdef inline object _field(record, int index):
    return <object>PyTuple_GET_ITEM(record, index)


cdef char *_reserve(record) except NULL:
    """Room for the longest line that `record` can make."""
    global _line, _room
    cdef size_t size = FIELDS * AROUND
    cdef Py_ssize_t length
    cdef char *grown
    cdef int i
    for i in range(FIELDS):
        if isinstance(_field(record, i), str):
            length = PyUnicode_GET_LENGTH(_field(record, i))
            size += LONGEST_ESCAPE * <size_t>min(length, _LIMITS[i])
    if size > _room:
        grown = <char *>realloc(_line, size)
        if grown == NULL:
            raise MemoryError
        _line = grown
        _room = size
    return _line


cdef inline char *_text(char *out, const char *text) noexcept nogil:
    cdef size_t size = strlen(text)
    memcpy(out, text, size)
    return out + size


cdef char *_string(char *out, const char *key, record, int index) except NULL:
    cdef str value = _field(record, index)
    cdef Py_ssize_t length = PyUnicode_GET_LENGTH(value)
    cdef Py_ssize_t shown = min(length, _LIMITS[index])
    cdef int kind = PyUnicode_KIND(value)
    cdef void *data = PyUnicode_DATA(value)
    out = _text(out, key)
    out[0] = c'"'
    out += 1
    if kind == LATIN1 and _is_plain(<const uint8_t *>data, shown):
        memcpy(out, data, shown)
        out += shown
    else:
        out = _escaped(out, kind, data, shown)
    if shown < length:
        out += sprintf(out, "...[%zd characters]", length)
    out[0] = c'"'
    return out + 1


cdef inline bint _is_plain(const uint8_t *text, Py_ssize_t size) noexcept nogil:
    """Whether all of it stands for itself. No early exit, so that the compiler can vectorise it."""
    cdef uint8_t special = 0
    cdef uint8_t c
    cdef Py_ssize_t i
    for i in range(size):
        c = text[i]
        special |= (c < 0x20) | (c > 0x7E) | (c == 0x22) | (c == 0x5C)
    return special == 0


cdef char *_escaped(char *out, int kind, void *data, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(size):
        out = _character(out, PyUnicode_READ(kind, data, i))
    return out


cdef char *_character(char *out, uint32_t code) noexcept nogil:
    if 32 <= code < 127 and code != c'"' and code != c'\\':
        out[0] = <char>code
        return out + 1
    if code < 256 and _SHORT[code]:
        out[0] = c'\\'
        out[1] = _SHORT[code]
        return out + 2
    if code < 0x10000:
        return out + sprintf(out, "\\u%04x", code)
    code -= 0x10000                      # a pair of surrogates
    return out + sprintf(out, "\\u%04x\\u%04x", 0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF))


cdef char *_number(char *out, uint64_t value) noexcept nogil:
    cdef char[20] digits
    cdef int count = 0
    while True:
        digits[count] = c'0' + value % 10
        value //= 10
        count += 1
        if value == 0:
            break
    while count:
        count -= 1
        out[0] = digits[count]
        out += 1
    return out


cdef inline char *_thousandths(char *out, int value) noexcept nogil:
    out[0] = c'.'
    out[1] = c'0' + value // 100
    out[2] = c'0' + value // 10 % 10
    out[3] = c'0' + value % 10
    return out + 4


cdef char *_milliseconds(char *out, double value) noexcept nogil:
    cdef uint64_t microseconds
    if not value >= 0:                   # not reached
        return _text(out, b"null")
    microseconds = llrint(value * 1000)
    return _thousandths(_number(out, microseconds // 1000), microseconds % 1000)
