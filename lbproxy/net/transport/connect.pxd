# cython: language_level=3
"""Where a connection goes: the fields."""

from lbproxy.net.transport.sockets cimport sockaddr_in, sockaddr_in6


cdef union AnyAddress:
    sockaddr_in four
    sockaddr_in6 six


cdef class Destination:
    """An address and port, as the kernel takes them."""
    cdef:
        AnyAddress _address
        unsigned int _size
        int _family
    cpdef int connect(self) except? -1
