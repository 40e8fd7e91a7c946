# cython: language_level=3
"""Non-blocking streams, and the calls of their handler."""

from libc.stdint cimport uint64_t

from lbproxy.net.tls.openssl cimport Engine
from lbproxy.net.transport.send_queue cimport SendQueue
from lbproxy.net.transport.watched cimport Watched


cdef class Stream

from lbproxy.net.transport.poller cimport Handler, Poller     # which knows streams: hence the line above


cdef enum:
    SCRATCH = 65536     # bytes received at once; also how much a slow reader can make a stream hold


cdef enum Sent:
    SENT_ALL = 0        # the kernel has it
    SENT_QUEUED = 1     # some of it waits in the send queue: stop producing until `writable`
    SENT_LOST = -2      # the peer cannot be written to any more; what it sent may still be readable


cdef enum:
    RECEIVED_EOF = 0
    RECEIVED_NOTHING = -1
    RECEIVED_ERROR = -2


cdef class Stream:
    cdef:
        readonly Poller poller
        readonly int fd             # -1: closed; the number may be another one's by now
        int _phase
        public Handler handler
        public double deadline      # on the poller's clock; 0: none, if the handler says what ends its wait (`covered`)
        public double patience      # with a send queue: seconds without progress until `expired`; 0: for ever
        readonly object tls         # what owns the descriptor; None: plain, and the stream owns it
        readonly uint64_t received
        readonly uint64_t sent
        readonly bint closed
        readonly bint reading
        readonly object error       # what `receive` or `send` failed with
        bint _writing
        Watched _watched            # what epoll reports of it
        bint _lagging               # its send queue was not empty since the last `transfer_over`
        uint64_t _full              # receives of a whole buffer in a row
        bint _lost
        bint _ended                 # TLS: nothing comes after what was received
        object _read_error
        Engine _engine              # TLS, once `start` was called; None: plain, or closed
        char *rx                    # bytes that were received and not used yet
        size_t rx_size
        size_t _rx_room
        SendQueue _queue
        Py_ssize_t receive(self) except -3
        Py_ssize_t _receive_tls(self) except -3
        int keep(self, const char *data, size_t size) except -1
        void consume(self, size_t size) noexcept
        Sent send(self, const char *data, size_t size) except? SENT_LOST
        Sent send_both(self, const char *head, size_t head_size, const char *body, size_t size) except? SENT_LOST
        Py_ssize_t _write(self, const char *data, size_t size) except -3
        Sent _enqueue(self, const char *data, size_t size) except? SENT_LOST
        int _flush(self) except -1
        int _shake_hands(self) except -1
        int _watch(self) except -1
        bint _is_bulk(self) noexcept
        int _received(self, Py_ssize_t got) except -1
        int transfer_over(self) except -1
        int _watch_writable(self, bint wanted) except -1
        int _on_readable(self) except -1
        int _on_writable(self) except -1
        _notify_close(self)
    cpdef bint has_queue(self)
    cpdef pause(self)
    cpdef resume(self)
    cpdef watch(self, Handler handler, double seconds)
    cpdef bint is_quiet(self)
    cpdef close(self)



cdef inline bint queued(Stream stream) noexcept:
    """`has_queue`, without a call."""
    return stream._queue.size > 0
