# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What the tokens of Negotiate are, as far as `auth.spnego` needs to know: read in place, without a copy of a ticket.

A token is base64 (RFC 4648 section 4, with its padding, as RFC 4559 section 4 has it) of a GSS-API token (RFC 2743
section 3.1). Tags and identifiers are compared in their DER encoding (X.690 section 8.1). Only the first characters are
decoded: a ticket may be 64 KB, and everything that is looked at stands before it. What is not understood is UNKNOWN.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memcmp, memset

cdef enum:
    LOOKED_AT = 512          # characters of base64. Five mechanisms, all lengths and both identifiers are under 200 bytes
    DECODED = 384            # bytes that these are

cdef enum:                   # `kind`; the order is that of `auth.spnego`
    UNKNOWN = 0
    KERBEROS = 1
    NTLM = 2
    CONTINUATION = 3

cdef enum:                   # tags
    GSS_INITIAL = 0x60
    AP_REQ = 0x6E
    SEQUENCE = 0x30
    OCTETS = 0x04
    FIELD_0 = 0xA0
    FIELD_1 = 0xA1
    FIELD_2 = 0xA2

cdef enum:                   # instead of a tag, or of a place
    NO_ELEMENT = -1          # the end of what it would be in
    OUT_OF_SIGHT = -2        # further on than tokens are looked at
    MALFORMED = -3           # another element than expected, none in sight, or not as long as it must be

cdef struct Token:
    const uint8_t *head      # the first bytes
    Py_ssize_t seen          # so many of them
    Py_ssize_t size          # of the whole token

cdef struct Text:
    const char *at
    Py_ssize_t size

cdef Text SPNEGO = Text(b"\x06\x06\x2b\x06\x01\x05\x05\x02", 8)                      # 1.3.6.1.5.5.2
cdef Text KRB5 = Text(b"\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02", 11)           # 1.2.840.113554.1.2.2
cdef Text KRB5_MICROSOFT = Text(b"\x06\x09\x2a\x86\x48\x82\xf7\x12\x01\x02\x02", 11) # 1.2.840.48018.1.2.2: Windows, [MS-SPNG]
cdef Text AP_REQ_ID = Text(b"\x01\x00", 2)                                           # TOK_ID, RFC 4121 section 4.1
cdef Text KRB_ERROR_ID = Text(b"\x03\x00", 2)                                        # the same
cdef Text REJECT = Text(b"\xa0\x03\x0a\x01\x02", 5)                                  # negState [0] reject, RFC 4178 section 4.2.2
cdef Text AP_REQ_START = Text(b"\xa0\x03\x02\x01\x05\xa1\x03\x02\x01\x0e", 10)       # pvno 5, msg-type 14: RFC 4120 section 5.5.1
cdef Text NTLMSSP = Text(b"NTLMSSP\0", 8)                                            # [MS-NLMP] section 2.2.1


cdef uint8_t VALUES[256]     # of each character; above 63: it is none of base64


cdef int _fill_values() noexcept nogil:
    cdef const char *alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    cdef uint8_t i
    memset(VALUES, 0xFF, sizeof(VALUES))
    for i in range(64):
        VALUES[<uint8_t>alphabet[i]] = i
    return 0


_fill_values()


def kind(bytes value not None, Py_ssize_t start):
    """Of the token that follows in `value` from `start` on, between spaces: UNKNOWN, KERBEROS, NTLM or CONTINUATION."""
    return _kind_of(PyBytes_AS_STRING(value), start, PyBytes_GET_SIZE(value))


def is_refusal(bytes token68 not None):
    """Whether a server's token ends the exchange: SPNEGO's reject (Apache's, with the error in it), or a KRB-ERROR."""
    return _is_refusal_at(PyBytes_AS_STRING(token68), 0, PyBytes_GET_SIZE(token68))


cdef int _kind_of(const char *text, Py_ssize_t start, Py_ssize_t end) noexcept nogil:
    cdef uint8_t head[DECODED]
    cdef Token token
    end = _without_spaces(text, &start, end)
    return _kind(&token) if _open(&token, head, text + start, end - start) else UNKNOWN


cdef bint _is_refusal_at(const char *text, Py_ssize_t start, Py_ssize_t end) noexcept nogil:
    cdef uint8_t head[DECODED]
    cdef Token token
    return _open(&token, head, text + start, end - start) and _is_refusal(&token)


cdef bint _open(Token *token, uint8_t *head, const char *text, Py_ssize_t size) noexcept nogil:
    """Decode the beginning of a token into `head`; whether that is base64, and there could be a whole token."""
    cdef Py_ssize_t looked_at = min(size, <Py_ssize_t>LOOKED_AT)
    cdef Py_ssize_t at
    if size % 4:
        return False
    token.head = head
    token.seen = 0
    token.size = size // 4 * 3 - _padding(text, 0, size)
    for at in range(0, looked_at, 4):
        if not _decode(token, head, text + at, at + 4 == looked_at):
            return False
    return True


cdef inline bint _decode(Token *token, uint8_t *head, const char *four, bint is_last) noexcept nogil:
    """Three bytes of four characters, or fewer of the last four, which may have padding; whether they are base64."""
    cdef uint8_t one = VALUES[<uint8_t>four[0]]
    cdef uint8_t two = VALUES[<uint8_t>four[1]]
    cdef uint8_t three = VALUES[<uint8_t>four[2]]
    cdef uint8_t last = VALUES[<uint8_t>four[3]]
    cdef Py_ssize_t padding = _padding(four, 0, 4) if is_last and four[3] == b'=' else 0
    if padding:
        last = 0
        three = 0 if padding == 2 else three
    if (one | two | three | last) > 63:
        return False
    head[token.seen] = one << 2 | two >> 4
    head[token.seen + 1] = two << 4 | three >> 2
    head[token.seen + 2] = three << 6 | last
    token.seen += 3 - padding
    return True


cdef Py_ssize_t _without_spaces(const char *text, Py_ssize_t *start, Py_ssize_t end) noexcept nogil:
    """Move `start` to the first character that is no space; where the last of them ends."""
    while start[0] < end and text[start[0]] == b' ':
        start[0] += 1
    while end > start[0] and text[end - 1] == b' ':
        end -= 1
    return end


cdef Py_ssize_t _padding(const char *text, Py_ssize_t start, Py_ssize_t end) noexcept nogil:
    return 0 if end - start < 2 else (text[end - 1] == b'=') + (text[end - 2] == b'=')


# --- elements. One is looked for at `at`, which may be MALFORMED, and must end by `end`.

cdef inline bint _begins(const Token *token, Py_ssize_t at, const Text *text) noexcept nogil:
    return at >= 0 and at + text.size <= token.seen and memcmp(token.head + at, text.at, text.size) == 0


cdef inline int _tag(const Token *token, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """The tag of the element at `at`, NO_ELEMENT or OUT_OF_SIGHT."""
    if at == end:
        return NO_ELEMENT
    if at < 0 or at >= token.seen:
        return OUT_OF_SIGHT
    return token.head[at]


cdef Py_ssize_t _enter(const Token *token, int tag, Py_ssize_t at, Py_ssize_t end, Py_ssize_t *finish) noexcept nogil:
    """Where the content of an element with this tag starts, and in `finish` where it ends; or MALFORMED."""
    cdef Py_ssize_t start = at + 2
    cdef Py_ssize_t size
    cdef Py_ssize_t i
    if at < 0 or start > token.seen or token.head[at] != tag:
        return MALFORMED
    size = token.head[at + 1]
    if size == 0x80:         # the indefinite length, which DER does not have
        return MALFORMED
    if size > 0x80:          # the long form: so many bytes of length follow
        start += size - 0x80
        if start > token.seen:
            return MALFORMED
        size = 0
        for i in range(at + 2, start):
            size = size << 8 | token.head[i]
            if size > token.size:  # longer than what it is in, however many bytes follow
                return MALFORMED
    finish[0] = start + size
    if start + size > end:
        return MALFORMED
    return start


cdef inline Py_ssize_t _descend(const Token *token, int tag, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Where the content of an element starts that ends at `end` exactly; or MALFORMED."""
    cdef Py_ssize_t finish = 0
    cdef Py_ssize_t start = _enter(token, tag, at, end, &finish)
    if finish != end:
        return MALFORMED
    return start


# --- tokens

cdef int _kind(const Token *token) noexcept nogil:
    cdef Py_ssize_t at
    if _begins(token, 0, &NTLMSSP):
        return NTLM
    if _tag(token, 0, token.size) == FIELD_1:
        return _response(token, _descend(token, SEQUENCE, _descend(token, FIELD_1, 0, token.size), token.size))
    at = _descend(token, GSS_INITIAL, 0, token.size)
    if not _begins(token, at, &SPNEGO):
        return _kerberos(token, 0, token.size)
    at = _descend(token, FIELD_0, at + SPNEGO.size, token.size)
    return _init(token, _descend(token, SEQUENCE, at, token.size))


cdef int _init(const Token *token, Py_ssize_t at) noexcept nogil:
    """Of a NegTokenInit (RFC 4178 section 4.2.1): mechTypes [0], reqFlags [1] or not, mechToken [2] or not, ...

    The mechToken is for the first of mechTypes. Without one the server chooses first, so legs are to come.
    """
    cdef Py_ssize_t end = 0
    cdef Py_ssize_t first_type = _enter(token, FIELD_0, at, token.size, &end)
    cdef int tag
    first_type = _descend(token, SEQUENCE, first_type, end)
    if first_type < 0:
        return UNKNOWN
    at = end
    if _tag(token, at, token.size) == FIELD_1:
        if _enter(token, FIELD_1, at, token.size, &at) < 0:
            return UNKNOWN
    tag = _tag(token, at, token.size)
    if tag != FIELD_2:
        return UNKNOWN if tag == OUT_OF_SIGHT else CONTINUATION
    at = _enter(token, FIELD_2, at, token.size, &end)
    at = _descend(token, OCTETS, at, end)
    if _begins(token, at, &NTLMSSP):
        return NTLM
    if _begins(token, first_type, &KRB5) or _begins(token, first_type, &KRB5_MICROSOFT):
        return _kerberos(token, at, end)
    return UNKNOWN


cdef int _response(const Token *token, Py_ssize_t at) noexcept nogil:
    """Of a NegTokenResp (RFC 4178 section 4.2.2): negState [0], supportedMech [1], responseToken [2], ..., optional."""
    cdef Py_ssize_t end = 0
    cdef int tag
    if at < 0:
        return UNKNOWN
    if _tag(token, at, token.size) == FIELD_0 and _enter(token, FIELD_0, at, token.size, &at) < 0:
        return UNKNOWN
    if _tag(token, at, token.size) == FIELD_1 and _enter(token, FIELD_1, at, token.size, &at) < 0:
        return UNKNOWN
    tag = _tag(token, at, token.size)
    if tag == FIELD_2:
        at = _enter(token, FIELD_2, at, token.size, &end)
        at = _descend(token, OCTETS, at, end)
        if at < 0:
            return UNKNOWN
        if _begins(token, at, &NTLMSSP):
            return NTLM
    return UNKNOWN if tag == OUT_OF_SIGHT else CONTINUATION


cdef int _kerberos(const Token *token, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """The framed AP-REQ that opens a Kerberos exchange (RFC 4121 section 4.1), all of it.

    Others of the mechanism's tokens (user-to-user, DCE style without framing) take several legs: UNKNOWN.
    """
    at = _descend(token, GSS_INITIAL, at, end)
    if not _begins(token, at, &KRB5) or not _begins(token, at + KRB5.size, &AP_REQ_ID):
        return UNKNOWN
    at = _descend(token, SEQUENCE, _descend(token, AP_REQ, at + KRB5.size + AP_REQ_ID.size, end), end)
    return KERBEROS if _begins(token, at, &AP_REQ_START) else UNKNOWN


cdef bint _is_refusal(const Token *token) noexcept nogil:
    cdef Py_ssize_t at
    if _tag(token, 0, token.size) == FIELD_1:
        return _begins(token, _descend(token, SEQUENCE, _descend(token, FIELD_1, 0, token.size), token.size), &REJECT)
    at = _descend(token, GSS_INITIAL, 0, token.size)
    return _begins(token, at, &KRB5) and _begins(token, at + KRB5.size, &KRB_ERROR_ID)
