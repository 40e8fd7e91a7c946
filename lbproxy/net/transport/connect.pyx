# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""connect(2), without what `socket.socket` does beside it: its class, and reading the same address each time."""

import os

from libc.errno cimport errno as c_errno
from libc.string cimport memset
from lbproxy.net.transport.sockets cimport (
    AF_INET, AF_INET6, EINPROGRESS, IPPROTO_TCP, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, TCP_NODELAY,
    c_connect, c_setsockopt, c_socket, htonl, htons, inet_pton, sockaddr, sockaddr_in, sockaddr_in6,
)
from posix.unistd cimport close as c_close


cdef class Destination:

    def __cinit__(self, int family, address not None):
        """address: as getaddrinfo(3) gives it in Python, numeric. Raises ValueError where it is not."""
        cdef bytes host = address[0].partition("%")[0].encode("ascii")
        memset(&self._address, 0, sizeof(self._address))
        if family == AF_INET and inet_pton(AF_INET, host, &self._address.four.sin_addr) == 1:
            self._address.four.sin_family = AF_INET
            self._address.four.sin_port = htons(address[1])
            self._size = sizeof(sockaddr_in)
        elif family == AF_INET6 and inet_pton(AF_INET6, host, &self._address.six.sin6_addr) == 1:
            self._address.six.sin6_family = AF_INET6
            self._address.six.sin6_port = htons(address[1])
            if len(address) == 4:
                self._address.six.sin6_flowinfo = htonl(address[2])
                self._address.six.sin6_scope_id = address[3]
            self._size = sizeof(sockaddr_in6)
        else:
            raise ValueError(f"not a numeric address: {address[0]!r}")
        self._family = family

    cpdef int connect(self) except? -1:
        """Begin to connect a new socket, which does not block and sends at once (TCP_NODELAY): its descriptor.

        Or, negative, the error number with which the connect failed at once. Raises OSError when there is no socket.
        """
        cdef int yes = 1
        cdef int code
        cdef int fd = c_socket(self._family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
        if fd == -1:
            raise OSError(c_errno, os.strerror(c_errno))
        c_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes))
        if c_connect(fd, <sockaddr *>&self._address, self._size) == 0 or c_errno == EINPROGRESS:
            return fd
        code = c_errno
        c_close(fd)
        return -code
