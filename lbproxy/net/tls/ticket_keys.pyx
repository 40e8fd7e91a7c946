# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The keys that session tickets are sealed with: one that seals, and others that still open (RFC 5077 section 4).

Python's ssl cannot set them: each context has a key of its own, and resumes only the sessions that it began. OpenSSL
asks a function for the key of each ticket (SSL_CTX_set_tlsext_ticket_key_evp_cb(3), OpenSSL 3). It finds the keys by
the context of the connection, and needs neither Python's objects nor its lock.
"""

import _ssl

from lbproxy.net.tls.openssl cimport find, pointer_of_context

cdef extern from *:
    """
    #include <stdlib.h>
    #include <string.h>
    #define LBPROXY_MOST 8
    typedef struct { unsigned char name[16], mac[32], cipher[32]; } lbproxy_ticket_key;
    typedef struct { int users, count; lbproxy_ticket_key keys[LBPROXY_MOST]; } lbproxy_ticket_keys;
    /* <openssl/params.h>: OSSL_PARAM */
    typedef struct { const char *key; unsigned int type; void *data; size_t size, returned; } lbproxy_param;
    typedef long (*lbproxy_ticket_ctrl)(void *, int, long, void *);
    typedef int (*lbproxy_ticket_answer)(void *, unsigned char *, unsigned char *, void *, void *, int);
    typedef int (*lbproxy_ticket_ask)(void *, lbproxy_ticket_answer);
    typedef void *(*lbproxy_ticket_get)(void *);
    typedef void *(*lbproxy_get_data)(void *, int);
    typedef int (*lbproxy_set_data)(void *, int, void *);
    typedef void (*lbproxy_free_data)(void *, void *, void *, int, long, void *);
    typedef int (*lbproxy_new_index)(int, long, void *, void *, void *, lbproxy_free_data);
    typedef int (*lbproxy_random)(unsigned char *, int);
    typedef void *(*lbproxy_cipher)(void);
    typedef int (*lbproxy_cipher_init)(void *, void *, void *, const unsigned char *, const unsigned char *);
    typedef int (*lbproxy_set_params)(void *, lbproxy_param *);
    """
    enum: LBPROXY_MOST
    ctypedef struct lbproxy_ticket_key:
        unsigned char *name
        unsigned char *mac
        unsigned char *cipher
    ctypedef struct lbproxy_ticket_keys:
        int users
        int count
        lbproxy_ticket_key *keys
    ctypedef struct lbproxy_param:
        const char *key
        unsigned int type
        void *data
        size_t size
        size_t returned
    ctypedef long (*lbproxy_ticket_ctrl)(void *, int, long, void *) noexcept
    ctypedef int (*lbproxy_ticket_answer)(void *, unsigned char *, unsigned char *, void *, void *, int) noexcept nogil
    ctypedef int (*lbproxy_ticket_ask)(void *, lbproxy_ticket_answer) noexcept
    ctypedef void *(*lbproxy_ticket_get)(void *) noexcept nogil
    ctypedef void *(*lbproxy_get_data)(void *, int) noexcept nogil
    ctypedef int (*lbproxy_set_data)(void *, int, void *) noexcept
    ctypedef void (*lbproxy_free_data)(void *, void *, void *, int, long, void *) noexcept nogil
    ctypedef int (*lbproxy_new_index)(int, long, void *, void *, void *, lbproxy_free_data) noexcept
    ctypedef int (*lbproxy_random)(unsigned char *, int) noexcept nogil
    ctypedef void *(*lbproxy_cipher)() noexcept nogil
    ctypedef int (*lbproxy_cipher_init)(
        void *, void *, void *, const unsigned char *, const unsigned char *
    ) noexcept nogil
    ctypedef int (*lbproxy_set_params)(void *, lbproxy_param *) noexcept nogil
    void *calloc(size_t count, size_t size)
    void free(void *pointer) nogil
    void *memcpy(void *to, const void *origin, size_t size) nogil
    void *memset(void *to, int value, size_t size) nogil
    int memcmp(const void *one, const void *other, size_t size) nogil

cdef enum:                   # <openssl/ssl.h>, <openssl/crypto.h>, <openssl/core.h>
    GET_KEYS = 58
    SET_KEYS = 59
    OF_A_CONTEXT = 1         # CRYPTO_EX_INDEX_SSL_CTX
    UTF8_STRING = 4
    OCTET_STRING = 5
    NAME = 16                # bytes
    SECRET = 32
    BLOCK = 16
    NO_KEY = 0               # what the function answers: a whole handshake, and a new ticket
    GOOD = 1
    RENEW = 2                # good, and the client gets a new ticket
    FAILED = -1

SIZE = NAME + SECRET + SECRET
"""Bytes of a key: its name, and secrets for HMAC-SHA256 and AES-256."""

MOST = LBPROXY_MOST
"""Keys at a time."""

cdef lbproxy_ticket_ctrl _ctrl = <lbproxy_ticket_ctrl>find(b"SSL_CTX_ctrl")
cdef lbproxy_ticket_ask _ask = <lbproxy_ticket_ask>find(b"SSL_CTX_set_tlsext_ticket_key_evp_cb")
cdef lbproxy_ticket_get _context_of = <lbproxy_ticket_get>find(b"SSL_get_SSL_CTX")
cdef lbproxy_get_data _get_data = <lbproxy_get_data>find(b"SSL_CTX_get_ex_data")
cdef lbproxy_set_data _set_data = <lbproxy_set_data>find(b"SSL_CTX_set_ex_data")
cdef lbproxy_new_index _new_index = <lbproxy_new_index>find(b"CRYPTO_get_ex_new_index")
cdef lbproxy_random _random = <lbproxy_random>find(b"RAND_bytes")
cdef lbproxy_cipher _aes = <lbproxy_cipher>find(b"EVP_aes_256_cbc")
cdef lbproxy_cipher_init _encrypt = <lbproxy_cipher_init>find(b"EVP_EncryptInit_ex")
cdef lbproxy_cipher_init _decrypt = <lbproxy_cipher_init>find(b"EVP_DecryptInit_ex")
cdef lbproxy_set_params _set_params = <lbproxy_set_params>find(b"EVP_MAC_CTX_set_params")
cdef bint _is_known = (
    _ask != NULL and _context_of != NULL and _get_data != NULL and _set_data != NULL and _new_index != NULL
    and _random != NULL and _aes != NULL and _encrypt != NULL and _decrypt != NULL and _set_params != NULL
)
cdef int _index = _new_index(OF_A_CONTEXT, 0, NULL, NULL, NULL, _context_freed) if _is_known else -1


cdef void _release(lbproxy_ticket_keys *keys) noexcept nogil:
    keys.users -= 1
    if keys.users == 0:
        memset(keys, 0, sizeof(lbproxy_ticket_keys))
        free(keys)


cdef void _context_freed(
    void *context, void *keys, void *unused, int index, long number, void *pointer
) noexcept nogil:
    """CRYPTO_EX_free(3): called for every context, most of which have no keys."""
    if keys != NULL:
        _release(<lbproxy_ticket_keys *>keys)


cdef int _answer(
    void *connection, unsigned char *name, unsigned char *block, void *cipher, void *mac, int seals
) noexcept nogil:
    """Which key seals a new ticket, or opens the one that begins with `name`."""
    cdef lbproxy_ticket_keys *keys = <lbproxy_ticket_keys *>_get_data(_context_of(connection), _index)
    cdef int at = 0
    if keys == NULL or keys.count == 0:
        return FAILED if seals else NO_KEY
    if seals:
        memcpy(name, keys.keys[0].name, NAME)
        if _random(block, BLOCK) != 1 or _encrypt(cipher, _aes(), NULL, keys.keys[0].cipher, block) != 1:
            return FAILED
    else:
        while at < keys.count and memcmp(name, keys.keys[at].name, NAME):
            at += 1
        if at == keys.count:
            return NO_KEY
        if _decrypt(cipher, _aes(), NULL, keys.keys[at].cipher, block) != 1:
            return FAILED
    if not _authenticate(mac, keys.keys[at].mac):
        return FAILED
    return GOOD if at == 0 else RENEW


cdef bint _authenticate(void *mac, unsigned char *secret) noexcept nogil:
    """HMAC-SHA256 under `secret`."""
    cdef lbproxy_param[3] params
    memset(params, 0, sizeof(params))
    params[0].key, params[0].type, params[0].data, params[0].size = b"key", OCTET_STRING, secret, SECRET
    params[1].key, params[1].type, params[1].data, params[1].size = b"digest", UTF8_STRING, <void *><char *>b"SHA256", 6
    return _set_params(mac, params) == 1


cdef class TicketKeys:
    """The keys of the contexts that it is given: the first one seals, all of them open. Each is SIZE random bytes.

    They are changed and used on one thread: that of the loop, which does the handshakes.
    """
    cdef lbproxy_ticket_keys *_keys
    cdef list _contexts

    def __cinit__(self):
        self._keys = <lbproxy_ticket_keys *>calloc(1, sizeof(lbproxy_ticket_keys))
        if self._keys == NULL:
            raise MemoryError()
        self._keys.users = 1

    def __init__(self, keys):
        self._contexts = []
        self.set(keys)

    def __dealloc__(self):
        if self._keys != NULL:
            _release(self._keys)

    def __repr__(self):
        return f"<{self._keys.count} ticket keys>"

    def set(self, keys):
        """From now on these are the keys: 1 to MOST of them."""
        cdef bytes key
        cdef const unsigned char *data
        if not 0 < len(keys) <= LBPROXY_MOST or any(len(key) != SIZE for key in keys):
            raise ValueError(f"1 to {MOST} keys of {SIZE} bytes are needed")
        memset(self._keys.keys, 0, sizeof(lbproxy_ticket_key) * LBPROXY_MOST)
        for at, key in enumerate(keys):
            data = key
            memcpy(self._keys.keys[<int>at].name, data, NAME)
            memcpy(self._keys.keys[<int>at].mac, data + NAME, SECRET)
            memcpy(self._keys.keys[<int>at].cipher, data + NAME + SECRET, SECRET)
        self._keys.count = len(keys)
        for context in self._contexts:
            self._set_one(context)

    def serve(self, context not None):
        """Seal and open the tickets of `context`, an ssl.SSLContext, from now on, whatever becomes of this object.

        With an OpenSSL that asks for no keys, only the first key is used. False where this build of Python and OpenSSL
        allows nothing of it.
        """
        cdef void *ctx
        if not isinstance(context, _ssl._SSLContext):
            raise ValueError("an ssl.SSLContext is needed")
        ctx = pointer_of_context(context)
        if ctx == NULL:
            return False
        if _index < 0:
            self._contexts.append(context)
            return self._set_one(context)
        if _get_data(ctx, _index) != NULL or _set_data(ctx, _index, self._keys) != 1:
            return False
        self._keys.users += 1
        return _ask(ctx, _answer) == 1

    cdef bint _set_one(self, context):
        """SSL_CTX_set_tlsext_ticket_keys(3)."""
        cdef void *ctx = pointer_of_context(context)
        cdef unsigned char[80] data
        memcpy(data, self._keys.keys[0].name, NAME)
        memcpy(data + NAME, self._keys.keys[0].mac, SECRET)
        memcpy(data + NAME + SECRET, self._keys.keys[0].cipher, SECRET)
        return _ctrl(ctx, GET_KEYS, 0, NULL) == SIZE and _ctrl(ctx, SET_KEYS, SIZE, data) == 1
