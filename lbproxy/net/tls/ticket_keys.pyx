# cython: language_level=3
"""The keys that a TLS context seals session tickets with (RFC 5077, RFC 8446 section 4.6.1), for several processes.

Python's ssl cannot set them, so each process, and each context, has keys of its own and resumes only the sessions that
it began. OpenSSL's function is looked up in the library that Python's ssl itself uses, which need not be the one that a
linker would find. A context's pointer is the first field of CPython's object for it, from 3.2 to 3.14.
"""

import _ssl

cdef extern from *:
    """
    #include <dlfcn.h>
    typedef struct { PyObject_HEAD void *ctx; } lbproxy_ssl_context;   /* Modules/_ssl.c: PySSLContext */
    typedef long (*lbproxy_ctrl)(void *, int, long, void *);           /* SSL_CTX_ctrl(3) */
    """
    ctypedef struct lbproxy_ssl_context:
        void *ctx
    ctypedef long (*lbproxy_ctrl)(void *, int, long, void *) noexcept
    void *dlopen(const char *path, int flags)
    void *dlsym(void *handle, const char *name)
    int RTLD_LAZY, RTLD_NOLOAD

cdef enum:                   # <openssl/ssl.h>, <openssl/tls1.h>
    GET_TICKET_KEYS = 58
    SET_TICKET_KEYS = 59
    GET_MIN_PROTO_VERSION = 130

SIZE = 80
"""Bytes of the keys: a name of 16, and 32 each for HMAC and AES."""

cdef lbproxy_ctrl _find() noexcept:
    cdef bytes path
    cdef void *handle = NULL
    file = getattr(_ssl, "__file__", None)
    if file is None:                     # a part of the interpreter itself
        handle = dlopen(NULL, RTLD_LAZY)
    else:
        path = file.encode()
        handle = dlopen(path, RTLD_LAZY | RTLD_NOLOAD)
    return NULL if handle == NULL else <lbproxy_ctrl>dlsym(handle, b"SSL_CTX_ctrl")

cdef lbproxy_ctrl _ctrl = _find()


def set_keys(context not None, bytes keys not None):
    """Seal the tickets of `context`, an ssl.SSLContext, with `keys`, which are SIZE random bytes.

    False where this build of Python and OpenSSL does not allow it: then the context keeps keys of its own.
    """
    cdef void *ctx
    cdef char *data = keys
    if not isinstance(context, _ssl._SSLContext) or len(keys) != SIZE:
        raise ValueError("an ssl.SSLContext and 80 bytes are needed")
    if _ctrl == NULL:
        return False
    ctx = (<lbproxy_ssl_context *><void *>context).ctx
    if _ctrl(ctx, GET_MIN_PROTO_VERSION, 0, NULL) != int(context.minimum_version):
        return False
    return _ctrl(ctx, GET_TICKET_KEYS, 0, NULL) == SIZE and _ctrl(ctx, SET_TICKET_KEYS, SIZE, data) == 1
