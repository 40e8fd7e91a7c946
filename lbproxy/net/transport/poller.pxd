# cython: language_level=3
"""What the streams of a worker share, and the calls of their handlers."""

from libc.stdint cimport uint32_t, uint64_t

from lbproxy.net.transport.sockets cimport epoll_event
from lbproxy.net.transport.stream cimport Stream


cdef class Handler:
    """Gets the events of a stream. Called from the event loop, never from inside a call on the stream."""
    cpdef readable(self, Stream stream)
    cpdef writable(self, Stream stream)
    cpdef connected(self, Stream stream)
    cpdef secured(self, Stream stream)
    cpdef lost(self, Stream stream, object error)
    cpdef expired(self, Stream stream)
    cpdef bint covered(self, Stream stream) except -1
    cpdef crashed(self, Stream stream, object error)


cdef enum:
    BATCH = 64


cdef class Poller:
    """One a worker: what its streams share. Their readiness, a coarse clock, the receive buffer."""
    cdef:
        readonly object loop
        int _epoll
        int _bulk                   # the set of the streams in the middle of something large
        epoll_event _events[BATCH]
        int _at                     # the event that is being handled, and how many there are
        int _ready
        readonly double now         # seconds, CLOCK_MONOTONIC, as of the last `tick`
        char *scratch               # what `Stream.receive` filled, good until the next `receive`
        char *_out
        size_t _out_room
        set _streams
        char *out(self, size_t size) except NULL
        int _handle(self, int epoll, int most) except -1
        void _forget(self, Stream stream) noexcept
        int _end_wait(self, Stream stream) except -1


cpdef double monotonic() noexcept
