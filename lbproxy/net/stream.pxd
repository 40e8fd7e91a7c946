# cython: language_level=3
"""Non-blocking streams, and what they tell their handler."""

from libc.stdint cimport uint64_t


cdef enum Sent:
    SENT_ALL = 0        # the kernel has it
    SENT_QUEUED = 1     # some of it waits in the send queue: stop producing until `writable`
    SENT_LOST = -2      # the peer cannot be written to any more; what it sent may still be readable


cdef enum:
    RECEIVED_EOF = 0
    RECEIVED_NOTHING = -1
    RECEIVED_ERROR = -2


cdef class Handler:
    """Who is told what happens on a stream. Called from the event loop, never from inside a call on the stream."""
    cpdef readable(self, Stream stream)
    cpdef writable(self, Stream stream)
    cpdef connected(self, Stream stream)
    cpdef secured(self, Stream stream)
    cpdef lost(self, Stream stream, object error)
    cpdef expired(self, Stream stream)
    cpdef crashed(self, Stream stream, object error)


cdef class Poller:
    """One a worker: its event loop, its coarse clock and the buffers that its streams share."""
    cdef:
        readonly object loop
        readonly double now         # seconds, CLOCK_MONOTONIC, as of the last `tick`
        char *scratch               # what `Stream.receive` filled, good until the next `receive`
        object _view                # the same as a memoryview, for the TLS object
        char *_out
        size_t _out_room
        set _streams
        char *out(self, size_t size) except NULL


cdef class Stream:
    cdef:
        readonly Poller poller
        readonly int fd
        public Handler handler
        public double deadline      # on the poller's clock; 0: none
        public double patience      # with a send queue: seconds without progress until `expired`; 0: for ever
        readonly object tls         # the SSLSocket that owns the descriptor; None: plain, and the stream owns it
        readonly uint64_t received
        readonly uint64_t sent
        readonly bint closed
        readonly bint reading
        readonly object error       # what `receive` or `send` failed with
        bint _writing
        bint _lost
        int _phase
        object _sslobj
        char *rx                    # bytes that were received and not used yet
        size_t rx_size
        size_t _rx_room
        char *_tx
        size_t _tx_start
        size_t _tx_size
        size_t _tx_room
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
        _watch_writable(self)
        _unwatch_writable(self)
        _notify_close(self)
    cpdef bint has_queue(self)
    cpdef pause(self)
    cpdef resume(self)
    cpdef close(self)


cpdef double monotonic() noexcept
