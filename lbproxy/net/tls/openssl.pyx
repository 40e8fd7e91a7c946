# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""OpenSSL's own functions, called on the objects of Python's ssl: what that cannot do, and what it does dearly.

Each call of Python's ssl that finds nothing to read makes an exception, and each that ends a connection tries to read
from it once more: a tenth of what lbproxy itself does for a handshake. The keys of session tickets are in `ticket_keys`.

The functions are looked up in the library that Python's ssl itself uses, which need not be the one that a linker would
find. Pointers are read from the first fields of CPython's objects, which are the same from 3.11 to 3.14, and each one
is compared with what it must be; where anything is otherwise, Python's own methods are called.
"""

import os
import ssl

import _ssl

from cpython.buffer cimport PyBUF_READ, PyBUF_WRITE
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc cimport errno as libc_errno

cdef extern from *:
    """
    #include <dlfcn.h>
    /* Modules/_ssl.c: PySSLContext and PySSLSocket */
    typedef struct { PyObject_HEAD void *ctx; } lbproxy_ssl_context;
    typedef struct { PyObject_HEAD PyObject *owner; void *ssl; PyObject *context; } lbproxy_ssl_object;
    #define LBPROXY_KNOWN_PYTHON (PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030F0000)
    typedef long (*lbproxy_ctrl)(void *, int, long, void *);
    typedef void *(*lbproxy_get)(void *);
    typedef int (*lbproxy_do)(void *);
    typedef int (*lbproxy_io)(void *, void *, int);
    typedef int (*lbproxy_error)(void *, int);
    typedef int (*lbproxy_set_fd)(void *, int);
    typedef unsigned long (*lbproxy_peek)(void);
    typedef void (*lbproxy_clear)(void);
    typedef const char *(*lbproxy_words)(unsigned long);
    typedef int (*lbproxy_hello)(void *, int *, void *);
    typedef void (*lbproxy_set_hello)(void *, lbproxy_hello, void *);
    typedef int (*lbproxy_extension)(void *, unsigned int, const unsigned char **, size_t *);
    typedef void (*lbproxy_callback)(void);
    typedef long (*lbproxy_callback_ctrl)(void *, int, lbproxy_callback);
    typedef const char *(*lbproxy_name)(const void *, int);
    typedef int (*lbproxy_is)(const void *);
    typedef void (*lbproxy_free)(void *);
    typedef unsigned long long (*lbproxy_options)(void *, unsigned long long);
    """
    ctypedef struct PyObject:
        pass
    ctypedef struct lbproxy_ssl_context:
        void *ctx
    ctypedef struct lbproxy_ssl_object:
        void *ssl
        PyObject *context
    bint LBPROXY_KNOWN_PYTHON
    ctypedef long (*lbproxy_ctrl)(void *, int, long, void *) noexcept
    ctypedef void *(*lbproxy_get)(void *) noexcept
    ctypedef int (*lbproxy_do)(void *) noexcept
    ctypedef int (*lbproxy_io)(void *, void *, int) noexcept
    ctypedef int (*lbproxy_error)(void *, int) noexcept
    ctypedef int (*lbproxy_set_fd)(void *, int) noexcept
    ctypedef unsigned long (*lbproxy_peek)() noexcept
    ctypedef void (*lbproxy_clear)() noexcept
    ctypedef const char *(*lbproxy_words)(unsigned long) noexcept
    ctypedef int (*lbproxy_hello)(void *, int *, void *) noexcept nogil
    ctypedef void (*lbproxy_set_hello)(void *, lbproxy_hello, void *) noexcept
    ctypedef int (*lbproxy_extension)(void *, unsigned int, const unsigned char **, size_t *) noexcept nogil
    ctypedef void (*lbproxy_callback)() noexcept nogil
    ctypedef long (*lbproxy_callback_ctrl)(void *, int, lbproxy_callback) noexcept
    ctypedef const char *(*lbproxy_name)(const void *, int) noexcept
    ctypedef int (*lbproxy_is)(const void *) noexcept
    ctypedef void (*lbproxy_free)(void *) noexcept
    ctypedef unsigned long long (*lbproxy_options)(void *, unsigned long long) noexcept
    void *dlopen(const char *path, int flags)
    void *dlsym(void *handle, const char *name)
    int RTLD_LAZY, RTLD_NOLOAD

cdef enum:                   # <openssl/ssl.h>, <openssl/tls1.h>, <openssl/sslerr.h>
    SET_NAME_CALLBACK = 53
    GET_PEER_TMP_KEY = 109
    IGNORE_UNEXPECTED_EOF = 0x80
    GET_MIN_PROTO_VERSION = 130
    GET_TMP_KEY = 133
    BIO_CTRL_EOF = 2
    ERROR_SSL = 1
    ERROR_WANT_READ = 2
    ERROR_WANT_WRITE = 3
    ERROR_SYSCALL = 5
    ERROR_ZERO_RETURN = 6
    UNEXPECTED_EOF = 294
    REASON = 0x7FFFFF        # the bits of an error that are its reason
    HELLO_ERROR = 0
    HELLO_SUCCESS = 1
    SERVER_NAME = 0          # the extension's type, and the only kind of names in it
    ACKNOWLEDGED = 0         # SSL_TLSEXT_ERR_OK
    NAME_AT = 5              # where the first name of that extension begins (RFC 6066 section 3)
    UNRECOGNIZED_NAME = 112  # the alert

cdef object _WANT = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
cdef object _EOFError = ssl.SSLEOFError
cdef int _EOF = ssl.SSL_ERROR_EOF


cdef void *_library() noexcept:
    """Python's ssl, whose library its symbols are looked up in."""
    cdef bytes path
    file = getattr(_ssl, "__file__", None)
    if file is None:                     # a part of the interpreter itself
        return dlopen(NULL, RTLD_LAZY)
    path = file.encode()
    return dlopen(path, RTLD_LAZY | RTLD_NOLOAD)


cdef void *_handle = _library()


cdef void *find(const char *name) noexcept:
    return NULL if _handle == NULL else dlsym(_handle, name)


cdef lbproxy_ctrl _ctrl = <lbproxy_ctrl>find(b"SSL_CTX_ctrl")
cdef lbproxy_get _context_of = <lbproxy_get>find(b"SSL_get_SSL_CTX")
cdef lbproxy_do _do_handshake = <lbproxy_do>find(b"SSL_do_handshake")
cdef lbproxy_do _has_pending = <lbproxy_do>find(b"SSL_has_pending")
cdef lbproxy_do _shutdown = <lbproxy_do>find(b"SSL_shutdown")
cdef lbproxy_io _read = <lbproxy_io>find(b"SSL_read")
cdef lbproxy_io _write = <lbproxy_io>find(b"SSL_write")
cdef lbproxy_set_fd _set_fd = <lbproxy_set_fd>find(b"SSL_set_fd")
cdef lbproxy_error _get_error = <lbproxy_error>find(b"SSL_get_error")
cdef lbproxy_peek _peek_last_error = <lbproxy_peek>find(b"ERR_peek_last_error")
cdef lbproxy_clear _clear_errors = <lbproxy_clear>find(b"ERR_clear_error")
cdef lbproxy_words _words = <lbproxy_words>find(b"ERR_reason_error_string")
cdef lbproxy_set_hello _set_hello = <lbproxy_set_hello>find(b"SSL_CTX_set_client_hello_cb")
cdef lbproxy_extension _extension = <lbproxy_extension>find(b"SSL_client_hello_get0_ext")
cdef lbproxy_callback_ctrl _set_callback = <lbproxy_callback_ctrl>find(b"SSL_CTX_callback_ctrl")
cdef lbproxy_name _name_of = <lbproxy_name>find(b"SSL_get_servername")
cdef lbproxy_ctrl _control = <lbproxy_ctrl>find(b"SSL_ctrl")
cdef lbproxy_is _is_server = <lbproxy_is>find(b"SSL_is_server")
cdef lbproxy_is _type_of = <lbproxy_is>find(b"EVP_PKEY_get_base_id")
cdef lbproxy_error _empty = <lbproxy_error>find(b"EVP_PKEY_set_type")
cdef lbproxy_free _free_key = <lbproxy_free>find(b"EVP_PKEY_free")
cdef lbproxy_options _set_options = <lbproxy_options>find(b"SSL_set_options")
cdef lbproxy_get _bio_of = <lbproxy_get>find(b"SSL_get_rbio")
cdef lbproxy_ctrl _bio_ctrl = <lbproxy_ctrl>find(b"BIO_ctrl")
cdef bint _is_known = (
    LBPROXY_KNOWN_PYTHON and _context_of != NULL and _do_handshake != NULL and _has_pending != NULL and _shutdown != NULL
    and _read != NULL and _write != NULL and _get_error != NULL and _peek_last_error != NULL and _clear_errors != NULL
    and _words != NULL and _set_fd != NULL and _name_of != NULL and _set_options != NULL
    and _bio_of != NULL and _bio_ctrl != NULL and _is_server != NULL
)
cdef bint _may_empty_keys = _control != NULL and _type_of != NULL and _empty != NULL and _free_key != NULL


def refuse_odd_names(context not None):
    """From now on `context`, an ssl.SSLContext, answers a server name that is not ASCII with the alert unrecognized_name.

    RFC 6066 section 3. Python's own callback fails on such a name, which the client takes for a fault of the server:
    internal_error. False where this build of Python and OpenSSL does not allow it.
    """
    cdef void *ctx
    if not isinstance(context, _ssl._SSLContext):
        raise ValueError("an ssl.SSLContext is needed")
    ctx = pointer_of_context(context)
    if ctx == NULL or _set_hello == NULL or _extension == NULL:
        return False
    _set_hello(ctx, _look_at_hello, NULL)
    return True


cdef int _look_at_hello(void *handshake, int *alert, void *unused) noexcept nogil:
    """SSL_CTX_set_client_hello_cb(3). A malformed extension is OpenSSL's to refuse."""
    cdef const unsigned char *data = NULL
    cdef size_t size = 0
    cdef size_t at
    if _extension(handshake, SERVER_NAME, &data, &size):
        for at in range(NAME_AT, size):
            if data[at] > 127:
                alert[0] = UNRECOGNIZED_NAME
                return HELLO_ERROR
    return HELLO_SUCCESS


def acknowledge_names(context not None):
    """From now on `context` takes every server name for its own, without a call of Python: there is no other certificate.

    `Engine.server_name` tells which it was. False where this build of Python and OpenSSL does not allow it.
    """
    cdef void *ctx
    if not isinstance(context, _ssl._SSLContext):
        raise ValueError("an ssl.SSLContext is needed")
    ctx = pointer_of_context(context)
    if ctx == NULL or _set_callback == NULL or not is_direct():
        return False
    return _set_callback(ctx, SET_NAME_CALLBACK, <lbproxy_callback>_acknowledge) == 1


cdef int _acknowledge(void *connection, int *alert, void *unused) noexcept nogil:
    """SSL_CTX_set_tlsext_servername_callback(3). The name goes into the session, as a client of TLS 1.2 expects."""
    return ACKNOWLEDGED


cdef void *pointer_of_context(object context):
    """OpenSSL's own object behind an ssl.SSLContext; NULL: it is not where it is looked for."""
    cdef void *ctx = (<lbproxy_ssl_context *><void *>context).ctx
    if _ctrl == NULL or not LBPROXY_KNOWN_PYTHON:
        return NULL
    # The lowest version there is has a number below 0 in Python.
    return ctx if _ctrl(ctx, GET_MIN_PROTO_VERSION, 0, NULL) == max(int(context.minimum_version), 0) else NULL


cdef void *_pointer(object sslobj):
    """OpenSSL's own object behind Python's; NULL: it is not where it is looked for."""
    cdef lbproxy_ssl_object *found = <lbproxy_ssl_object *><void *>sslobj
    cdef object context
    if not _is_known or not isinstance(sslobj, _ssl._SSLSocket):
        return NULL
    context = sslobj.context
    if <void *>found.context != <void *>context or found.ssl == NULL:
        return NULL
    return found.ssl if _context_of(found.ssl) == (<lbproxy_ssl_context *><void *>context).ctx else NULL


def is_direct():
    """Are OpenSSL's own functions called? Tried with an object of Python's ssl; False: Python's methods are."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return _pointer(context._wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), False, "localhost")) != NULL


cdef inline void _forget_errors() noexcept:
    """Empty this thread's queue of errors, from which SSL_get_error(3) would take an old one for the next function's."""
    if _peek_last_error():
        _clear_errors()


cdef void _empty_keys(void *found) noexcept:
    """Wipe the keys that were agreed upon: nothing needs them after the handshake, but OpenSSL keeps them with the connection.

    There are some in TLS 1.3 only. Each has at least 200 bytes beside its EVP_PKEY, which stays and is empty.
    """
    cdef void *key = NULL
    cdef int which
    if not _may_empty_keys:
        return
    for which in (GET_TMP_KEY, GET_PEER_TMP_KEY):
        if _control(found, which, 0, &key) == 1:
            _empty(key, _type_of(key))
            _free_key(key)               # the reference that we were given
    _forget_errors()


cdef class Engine:

    def __init__(self, sslobj not None, bint direct=True):
        """sslobj: the `_sslobj` of an ssl.SSLSocket or AcceptedTls. direct: False calls Python's methods."""
        self._object = sslobj
        self._ssl = _pointer(sslobj) if direct else NULL

    @property
    def direct(self):
        """Whether OpenSSL's functions are called."""
        return self._ssl != NULL

    @property
    def _sslobj(self):
        """Python's object, which an ssl.SSLSocket calls so; None: the connection is over."""
        return self._object

    def attach(self, int fd):
        """Let an object that Python made for memory (`_wrap_bio`) work on this descriptor; False: that cannot be done.

        Python makes one for a socket only of its own class of sockets, and asks the kernel what the socket is.
        """
        if self._ssl == NULL:
            return False
        if _set_fd(self._ssl, fd) != 1:
            raise MemoryError
        return True

    @property
    def server_name(self):
        """Which the client asked for, as it came; None: none, or Python's methods are called."""
        cdef const char *name
        if self._ssl == NULL:
            return None
        name = _name_of(self._ssl, SERVER_NAME)
        return None if name == NULL else name.decode("latin-1")

    cdef int handshake(self) except 0:
        """DONE, WANTS_READ or WANTS_WRITE; raises ssl.SSLError, or another OSError."""
        cdef object kept = self._object      # and what it owns: a callback may close this connection
        cdef void *handle = self._ssl
        cdef int result
        if handle == NULL:
            try:
                kept.do_handshake()
            except ssl.SSLWantReadError:
                return WANTS_READ
            except ssl.SSLWantWriteError:
                return WANTS_WRITE
            return DONE
        _forget_errors()
        libc_errno.errno = 0
        result = _do_handshake(handle)
        if result == 1:
            if _is_server(handle):
                # OpenSSL would answer an end without close_notify by an alert, to a client that is gone; `read` tells it.
                _set_options(handle, IGNORE_UNEXPECTED_EOF)
                _empty_keys(handle)
            return DONE
        result = _get_error(handle, result)
        if result == ERROR_WANT_READ:
            return WANTS_READ
        if result == ERROR_WANT_WRITE:
            return WANTS_WRITE
        if result == ERROR_SSL:
            kept.do_handshake()          # OpenSSL fails at once, and as before: Python knows best what to make of that
        raise self._trouble(result, libc_errno.errno)

    cdef Py_ssize_t read(self, char *data, size_t size) except -3:
        """Bytes that were read, 0 at an orderly end, WANTS_READ, or FAILED. One record at most is read."""
        cdef int result
        if self._ssl == NULL:
            try:
                return self._object.read(size, PyMemoryView_FromMemory(data, size, PyBUF_WRITE))
            except _WANT:
                return WANTS_READ
            except ssl.SSLZeroReturnError:   # the peer's close_notify, after our own
                return 0
            except OSError as error:
                self.failure = error
                return FAILED
        _forget_errors()
        libc_errno.errno = 0
        result = _read(self._ssl, data, <int>size)
        if result > 0:
            return result
        result = _get_error(self._ssl, result)
        if result == ERROR_WANT_READ or result == ERROR_WANT_WRITE:
            return WANTS_READ
        if result == ERROR_ZERO_RETURN and not _bio_ctrl(_bio_of(self._ssl), BIO_CTRL_EOF, 0, NULL):
            return 0                         # close_notify, and not the end of the descriptor
        self.failure = self._trouble(result, libc_errno.errno)
        return FAILED

    cdef Py_ssize_t write(self, const char *data, size_t size) except -3:
        """How much was written: all of it, or WANTS_WRITE, and the next call must be with the same bytes; raises OSError."""
        cdef int result
        if size == 0:
            return 0                         # SSL_write(3) takes that for a failure
        if self._ssl == NULL:
            try:
                return self._object.write(PyMemoryView_FromMemory(<char *>data, size, PyBUF_READ))
            except _WANT:
                return WANTS_WRITE
        _forget_errors()
        libc_errno.errno = 0
        result = _write(self._ssl, <void *>data, <int>size)
        if result > 0:
            return result
        result = _get_error(self._ssl, result)
        if result == ERROR_WANT_READ or result == ERROR_WANT_WRITE:
            return WANTS_WRITE
        raise self._trouble(result, libc_errno.errno)

    def let_go(self):
        """The connection is over."""
        self._object = None
        self._ssl = NULL

    cdef bint holds_some(self) noexcept:
        """Whether it has taken bytes from the descriptor that were not read yet, such as a part of a record."""
        return self._ssl != NULL and _has_pending(self._ssl) == 1

    cdef int notify_close(self) except -1:
        """Send close_notify (RFC 8446 section 6.1), if that can be done now. The answer is not awaited, as usual on the web."""
        if self._ssl == NULL:
            try:
                self._object.shutdown()
            except (OSError, ValueError):
                pass
        else:
            _forget_errors()
            _shutdown(self._ssl)
            _forget_errors()
        return 0

    cdef object _trouble(self, int result, int saved):
        """What SSL_get_error's `result` means, with `saved` of errno."""
        cdef unsigned long last = _peek_last_error()
        cdef const char *words = _words(last)
        _clear_errors()
        if result == ERROR_SYSCALL and saved:
            return OSError(saved, os.strerror(saved))
        if result != ERROR_SSL or last & REASON == UNEXPECTED_EOF:     # ERROR_ZERO_RETURN: a close_notify in the handshake
            error = _EOFError(_EOF, "EOF occurred in violation of protocol")
            error.reason = "UNEXPECTED_EOF_WHILE_READING"
        else:
            text = "failed" if words == NULL else words.decode()
            error = ssl.SSLError(result, text)
            error.reason = text.upper().replace(" ", "_")              # as Python makes it of OpenSSL's header files
        return error

    def step(self):
        """`handshake`, for tests."""
        return self.handshake()

    def receive(self, size_t size):
        """`read`, for tests: bytes, or None when there are none."""
        cdef bytearray data = bytearray(size)
        cdef Py_ssize_t got = self.read(data, size)
        if got == FAILED:
            raise self.failure
        return None if got < 0 else bytes(data[:got])

    def send(self, bytes data not None):
        """`write`, for tests: how much was written, or None."""
        cdef Py_ssize_t done = self.write(data, len(data))
        return None if done < 0 else done

    def say_bye(self):
        """`notify_close`, for tests."""
        self.notify_close()
