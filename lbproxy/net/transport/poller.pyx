# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What the streams of a worker share: their readiness, a clock for deadlines, one buffer to receive into.

The streams are watched by two epoll sets of their own, and the event loop watches these (`add_reader`). Registering
each descriptor with uvloop costs more for every event and loses some: after an error on a descriptor libuv calls its
reader once and never again, so a reset behind unread bytes would go unnoticed.

One set is for streams in the middle of something large (`Stream._is_bulk`). An event of such a stream takes ten times as
long as one of another stream, so few of them are handled in a turn of the loop. All other streams are in the other set.
So new connections, the heads of requests, probes and timers wait for a few transfers, and not for all of them.
"""

import logging
import os

from libc.errno cimport errno as c_errno
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc, realloc
from lbproxy.net.transport.sockets cimport (
    EPOLL_CLOEXEC,
    EPOLLERR,
    EPOLLHUP,
    EPOLLIN,
    EPOLLOUT,
    epoll_create1,
    epoll_wait,
)
from lbproxy.net.transport.stream cimport SCRATCH, Stream
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.unistd cimport close as c_close


cpdef double monotonic() noexcept:
    """CLOCK_MONOTONIC in seconds."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cdef enum:
    BULK_A_TURN = 32         # events of large transfers in one turn of the loop (docs/performance.md)

cdef object _log = logging.getLogger(__name__)


cdef class Handler:

    cpdef readable(self, Stream stream):
        """Bytes, or the end of them, can be received."""
        raise NotImplementedError

    cpdef writable(self, Stream stream):
        """The send queue is empty again."""

    cpdef connected(self, Stream stream):
        """The connection that `await_connect` waited for is there."""
        raise NotImplementedError

    cpdef secured(self, Stream stream):
        """The TLS handshake is complete."""
        raise NotImplementedError

    cpdef lost(self, Stream stream, object error):
        """Connecting, the handshake, or writing from the queue failed."""
        raise NotImplementedError

    cpdef expired(self, Stream stream):
        """The deadline passed; it was reset to none."""
        raise NotImplementedError

    cpdef bint covered(self, Stream stream) except -1:
        """Whether something else ends the wait of a stream that has no deadline: the deadline of another one, most likely.

        Asked in each `tick`. A stream of which this is not so would wait for ever, and is a fault.
        """
        return False

    cpdef crashed(self, Stream stream, object error):
        """A method of this handler raised: a fault in lbproxy, contained to this stream."""
        _log.error("fault", extra={"fields": {"stream": stream}}, exc_info=error)
        stream.abort()


cdef class Poller:

    def __cinit__(self, loop):
        """loop: an asyncio event loop with add_reader."""
        self._bulk = -1
        self._epoll = epoll_create1(EPOLL_CLOEXEC)
        if self._epoll != -1:
            self._bulk = epoll_create1(EPOLL_CLOEXEC)
        if self._bulk == -1:
            raise OSError(c_errno, os.strerror(c_errno))
        self.loop = loop
        loop.add_reader(self._epoll, self._dispatch)
        loop.add_reader(self._bulk, self._dispatch_bulk)
        self.now = monotonic()
        self.scratch = <char *>malloc(SCRATCH)
        self._out_room = SCRATCH
        self._out = <char *>malloc(self._out_room)
        if self.scratch == NULL or self._out == NULL:
            raise MemoryError
        self._streams = set()

    def __dealloc__(self):
        free(self.scratch)
        free(self._out)
        if self._epoll > 0:
            c_close(self._epoll)
        if self._bulk > 0:
            c_close(self._bulk)

    def close(self):
        """Watch nothing any more; every stream is closed by now."""
        self.loop.remove_reader(self._epoll)
        self.loop.remove_reader(self._bulk)

    def _dispatch(self):
        """Some streams are ready: a batch of them is handled."""
        self._handle(self._epoll, BATCH)

    def _dispatch_bulk(self):
        """Large transfers can go on: some of them do, and the others in later turns."""
        self._handle(self._bulk, BULK_A_TURN)

    cdef int _handle(self, int epoll, int most) except -1:
        """Handle at most so many events. epoll reports streams in the order in which they became ready."""
        cdef Stream stream
        cdef uint32_t events
        self._ready = epoll_wait(epoll, self._events, most, 0)
        self._at = 0
        while self._at < self._ready:
            if self._events[self._at].data.ptr != NULL:
                stream = <Stream>self._events[self._at].data.ptr
                events = self._events[self._at].events
                # An error or a hang-up shows when the stream is used; so the watching handler is called to use it.
                if stream.reading and events & (EPOLLIN | EPOLLERR | EPOLLHUP):
                    stream._on_readable()
                if stream._writing and events & (EPOLLOUT | EPOLLERR | EPOLLHUP):
                    stream._on_writable()
            self._at += 1
        self._ready = 0
        return 0

    cdef void _forget(self, Stream stream) noexcept:
        """A stream is closed: what was reported for it, and not handled yet, is void."""
        cdef int i
        for i in range(self._at + 1, self._ready):
            if self._events[i].data.ptr == <void *>stream:
                self._events[i].data.ptr = NULL
        self._streams.discard(stream)

    cdef char *out(self, size_t size) except NULL:
        """Room for `size` bytes to be written at once; good until the next call."""
        cdef char *grown
        if size > self._out_room:
            grown = <char *>realloc(self._out, size)
            if grown == NULL:
                raise MemoryError
            self._out = grown
            self._out_room = size
        return self._out

    def tick(self):
        """Advance the clock and call the handlers of streams whose deadline has passed. Called a few times a second.

        A stream that has no deadline, and whose wait nothing else ends, is a fault of its handler: it ends now, loudly.
        """
        cdef Stream stream
        cdef list late = []
        self.now = monotonic()
        for item in self._streams:
            stream = <Stream>item
            if stream.deadline <= self.now and (stream.deadline > 0 or not stream.handler.covered(stream)):
                late.append(stream)
        for item in late:
            stream = <Stream>item
            if not stream.closed and stream.deadline <= self.now:
                self._end_wait(stream)

    cdef int _end_wait(self, Stream stream) except -1:
        cdef Handler handler = stream.handler
        try:
            if stream.deadline > 0:
                stream.deadline = 0
                handler.expired(stream)
            elif not handler.covered(stream):
                raise RuntimeError(f"{handler!r} waits for {stream!r} without a deadline")
        except Exception as error:
            handler.crashed(stream, error)
        return 0

    @property
    def streams(self):
        """How many streams are open."""
        return len(self._streams)
