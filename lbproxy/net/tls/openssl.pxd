# cython: language_level=3
"""TLS by OpenSSL's own functions, on the objects of Python's ssl."""


cdef enum:
    DONE = 1             # of a handshake
    WANTS_READ = -1      # nothing more until the descriptor can be read
    WANTS_WRITE = -2
    FAILED = -4          # see `Engine.failure`


cdef void *find(const char *name) noexcept   # a function of the OpenSSL that Python's ssl uses; NULL: there is none

cdef void *pointer_of_context(object context)   # OpenSSL's own object behind an ssl.SSLContext; NULL: it is not known

cdef class Engine:
    """One end of a TLS connection, on a descriptor that does not block."""
    cdef:
        object _object   # Python's: it owns what `_ssl` points to
        void *_ssl       # NULL: it cannot be known, and Python's methods are called instead
        object failure   # the OSError that the last `read` failed with: made and not raised, as most connections end so
        int handshake(self) except 0
        Py_ssize_t read(self, char *data, size_t size) except -3
        Py_ssize_t write(self, const char *data, size_t size) except -3
        bint holds_some(self) noexcept
        int notify_close(self) except -1
        object _trouble(self, int result, int saved)
