# cython: language_level=3
"""Pieces of a buffer: how they are compared, judged and copied.

All of it is inline, because a call across modules costs more than most of it does. What runs over bytes is `nogil`:
the compiler refuses a Python object there.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memcmp, memcpy, strlen


cdef struct Slice:
    const char *at       # NULL: there is none
    size_t size


cdef inline Slice slice_of(bytes text) noexcept:
    """All of `text`, which has to be kept."""
    return Slice(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))


cdef inline bytes to_bytes(Slice text):
    """A copy; b"" where there is none."""
    return text.at[:text.size] if text.at != NULL else b""


# --- questions

cdef inline uint8_t lower(uint8_t c) noexcept nogil:
    """A letter of ASCII in lower case, any other byte as it is."""
    return c + 32 if 65 <= c <= 90 else c


cdef inline bint equal(Slice text, bytes other) noexcept:
    """Whether a text is what `other` holds; None is equal to none."""
    return other is not None and text.size == <size_t>PyBytes_GET_SIZE(other) and (
        memcmp(text.at, PyBytes_AS_STRING(other), text.size) == 0
    )


cdef inline bint same(Slice one, Slice other) noexcept nogil:
    """Whether two texts are equal in any case."""
    cdef size_t i
    if one.size != other.size:
        return False
    for i in range(one.size):
        if lower(<uint8_t>one.at[i]) != lower(<uint8_t>other.at[i]):
            return False
    return True


cdef inline bint is_word(Slice text, const char *word) noexcept nogil:
    """Whether a text is a literal, in any case."""
    return same(text, Slice(word, strlen(word)))


cdef inline bint has_control(Slice text) noexcept nogil:
    """Any control character but a tab (RFC 9110 section 5.5). No early exit, so that the compiler can vectorise it."""
    cdef uint8_t bad = 0
    cdef uint8_t c
    cdef size_t i
    for i in range(text.size):
        c = <uint8_t>text.at[i]
        bad |= ((c < 0x20) & (c != 0x09)) | (c == 0x7F)
    return bad != 0


# --- copies: to `out`, which has room; they return where the next one goes

cdef inline char *put(char *out, Slice text) noexcept nogil:
    memcpy(out, text.at, text.size)
    return out + text.size


cdef inline char *put_text(char *out, const char *literal) noexcept nogil:
    return put(out, Slice(literal, strlen(literal)))


cdef inline char *put_hex(char *out, const uint8_t *data, size_t size) noexcept nogil:
    """Two digits in lower case for each of `size` bytes."""
    cdef const char *digits = b"0123456789abcdef"
    cdef size_t i
    for i in range(size):
        out[2 * i] = digits[data[i] >> 4]
        out[2 * i + 1] = digits[data[i] & 15]
    return out + 2 * size


cdef inline char *put_line(char *out, Slice name, Slice value) noexcept nogil:
    """A header line."""
    out = put_text(put(out, name), b": ")
    return put_text(put(out, value), b"\r\n")
