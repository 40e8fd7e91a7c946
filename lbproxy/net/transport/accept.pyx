# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""accept4(2), without what `socket.socket` does beside it.

In a TLS handshake, between whose steps OpenSSL has emptied the caches of the processor, the calls of that class take as
long as a tenth of what lbproxy itself does for the connection; and it asks the kernel for an address that is known.
"""

import os
import socket

from libc.errno cimport errno as c_errno
from lbproxy.net.transport.sockets cimport (
    AF_INET, AF_INET6, EAGAIN, ECONNABORTED, EINTR, EWOULDBLOCK, SOCK_CLOEXEC, SOCK_NONBLOCK,
    c_accept4, inet_ntop, ntohs, sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage,
)


cdef class Acceptor:
    """Accepts on `listening`, a socket that is bound, listens and does not block; it stays the caller's."""

    cdef object _listening
    cdef int _family

    def __cinit__(self, listening not None):
        self._listening = listening
        self._family = listening.family
        if self._family == AF_INET or self._family == AF_INET6:
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)   # inherited by what it accepts (tcp(7))

    def __repr__(self):
        return f"<acceptor of family {self._family}>"

    def accept(self):
        """The descriptor of a connection, which does not block, and where it is from: (host, port), or "" of a Unix socket.

        None: no connection waits. Raises OSError.
        """
        cdef sockaddr_storage address
        cdef unsigned int size = sizeof(address)
        cdef int fd = c_accept4(self._listening.fileno(), <sockaddr *>&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC)
        cdef char host[64]
        if fd == -1:
            if c_errno in (EAGAIN, EWOULDBLOCK, EINTR, ECONNABORTED):
                return None
            raise OSError(c_errno, os.strerror(c_errno))
        if address.ss_family == AF_INET:
            inet_ntop(AF_INET, &(<sockaddr_in *>&address).sin_addr, host, sizeof(host))
            return fd, (host.decode("ascii"), ntohs((<sockaddr_in *>&address).sin_port))
        if address.ss_family == AF_INET6:
            inet_ntop(AF_INET6, &(<sockaddr_in6 *>&address).sin6_addr, host, sizeof(host))
            return fd, (host.decode("ascii"), ntohs((<sockaddr_in6 *>&address).sin6_port))
        return fd, ""
