# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Non-blocking plain and TLS streams on an asyncio loop: no transports, no tasks, no futures.

All streams of a worker share one receive buffer (`Poller.scratch`): an idle connection owns no buffer. What cannot be
used at once is kept in the stream's own `rx`; what the kernel does not take waits in its send queue, and whoever
produces stops until `Handler.writable`. TLS is the standard library's, on the descriptor: that of `net.tls`.
"""

import errno
import os

from libc.errno cimport errno as c_errno
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memmove, memset
from lbproxy.net.transport.poller cimport Handler, Poller
from lbproxy.net.transport.send_queue cimport append, drop, front
from lbproxy.net.transport.sockets cimport (
    EAGAIN, EINTR, EWOULDBLOCK, EPOLLIN, EPOLLOUT,
    MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, SHUT_WR, SO_ERROR, SO_LINGER, SOL_SOCKET, iovec, linger, msghdr,
    c_getsockopt, c_recv, c_send, c_sendmsg, c_setsockopt, c_shutdown,
)
from lbproxy.net.transport.watched cimport watch
from lbproxy.net.tls.openssl cimport DONE, FAILED, WANTS_READ, WANTS_WRITE, Engine
from posix.unistd cimport close as c_close

cdef enum:
    TLS_RECORD = 16384       # the largest plaintext of one record (RFC 8446 section 5.1)
    FULL = SCRATCH - TLS_RECORD + 1   # bytes from which on a receive counts as one of a whole buffer
    BULK_AFTER = 2           # such receives in a row, and the stream is in the middle of something large
    SMALL = 4096             # a receive of fewer bytes says that the large thing is over

cdef enum:                   # Stream._phase
    OPEN, CONNECTING, SHAKING_HANDS

cdef Handler _NOBODY = Handler()         # of closed streams


cdef class Stream:

    def __cinit__(self, Poller poller not None, int fd, Handler handler not None, tls=None):
        """fd: a connected (or connecting) non-blocking socket that the stream owns from now on.

        tls: of that descriptor, which it then owns; its handshake is still to be done: an `AcceptedTls` of a client,
        or an ssl.SSLSocket towards a backend.
        """
        self.poller = poller
        self.fd = fd
        self.handler = handler
        self.tls = tls
        poller._streams.add(self)

    def __dealloc__(self):
        free(self.rx)
        free(self._queue.data)

    def __repr__(self):
        kind = "tls" if self.tls is not None else "tcp"
        return f"<Stream {kind} fd={self.fd} received={self.received} sent={self.sent}{' closed' if self.closed else ''}>"

    # --- beginning

    def await_connect(self):
        """Call `handler.connected` or `handler.lost` when the non-blocking connect has ended."""
        self._phase = CONNECTING
        self._watch_writable(True)

    def start(self):
        """Begin to read; with TLS, do the handshake first and call `handler.secured` or `handler.lost`."""
        self._phase = OPEN
        self.resume()
        if self.tls is not None:
            if self.tls._sslobj is not None:     # an SSLSocket has none when its peer was gone already
                self._engine = self.tls if isinstance(self.tls, Engine) else Engine(self.tls._sslobj)
            self._phase = SHAKING_HANDS
            if not self.tls.server_side:     # a client speaks first
                self._shake_hands()

    cdef int _shake_hands(self) except -1:
        cdef int result
        cdef Engine engine = self._engine    # kept: a callback of the handshake may close this stream
        if engine is None:
            self.handler.lost(self, ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)))
            return 0
        try:
            result = engine.handshake()
        except (OSError, ValueError) as error:      # ssl.SSLError is an OSError
            if self.closed:
                return 0
            self.error = error
            self._phase = OPEN
            self.handler.lost(self, error)
            return 0
        if self.closed:
            return 0
        if result != DONE:
            if result == WANTS_WRITE:
                self.reading = False         # what is there to be read would be reported for ever
                self._watch_writable(True)
            return 0
        self._phase = OPEN
        if self._writing:                    # it ended with bytes to read while it waited for room to write
            self._watch_writable(False)
        self.handler.secured(self)
        return 0

    # --- events

    cdef int _on_readable(self) except -1:
        cdef Handler handler = self.handler
        try:
            if self._phase == SHAKING_HANDS:
                self._shake_hands()
            elif self.reading:
                handler.readable(self)
        except Exception as error:
            handler.crashed(self, error)
        return 0

    cdef int _on_writable(self) except -1:
        cdef Handler handler = self.handler
        cdef int code = 0
        cdef unsigned int size = sizeof(int)
        try:
            if self._phase == CONNECTING:
                self._writing = False
                self._phase = OPEN
                if c_getsockopt(self.fd, SOL_SOCKET, SO_ERROR, &code, &size) != 0:
                    code = c_errno
                if code:
                    self.error = OSError(code, os.strerror(code))
                    handler.lost(self, self.error)
                else:
                    handler.connected(self)
                self._watch()            # once, for the end of this wait and the beginning of reading
            elif self._phase == SHAKING_HANDS:
                self.reading = True
                self._watch_writable(False)
                self._shake_hands()
            elif not self.closed:
                self._flush()
        except Exception as error:
            handler.crashed(self, error)
        return 0

    cdef int _watch(self) except -1:
        """Tell epoll what is wanted now. Nothing wanted is nothing watched: epoll would report a hang-up for ever."""
        cdef unsigned int wanted = (EPOLLIN if self.reading else 0) | (EPOLLOUT if self._writing else 0)
        cdef int epoll = self.poller._bulk if self._is_bulk() else self.poller._epoll
        if watch(&self._watched, epoll, self.fd, wanted, <void *>self) != 0:     # the poller's set keeps it alive
            raise OSError(c_errno, os.strerror(c_errno))
        return 0

    cdef inline bint _is_bulk(self) noexcept:        # whether it is in the middle of something large
        return self._lagging or self._full >= BULK_AFTER

    cdef int _received(self, Py_ssize_t got) except -1:
        """Bytes were received: go over to the other set of streams when that shows a transfer, or its end."""
        self.received += got
        if got >= FULL:
            self._full += 1
            return self._watch() if self._full == BULK_AFTER else 0
        if not self._is_bulk():
            self._full = 0
        elif got < SMALL:                    # not whenever less than a buffer was there: each change is two system calls
            self.transfer_over()
        return 0

    cdef int transfer_over(self) except -1:
        """What comes next is likely small: go back to the streams that are handled first, once the queue is empty."""
        self._full = 0
        self._lagging = self._queue.size > 0
        return self._watch()

    cdef int _watch_writable(self, bint wanted) except -1:
        self._writing = wanted
        return self._watch()

    cpdef pause(self):
        """Stop reading: the peer is slowed down by its window."""
        self.reading = False
        self._watch()

    cpdef resume(self):
        """Read again."""
        if not self.closed:
            self.reading = True
            self._watch()
            if self._ended:
                self.poller.loop.call_soon(self._on_readable)

    cpdef watch(self, Handler handler, double seconds):
        """From now on `handler` is called when bytes can be read, and after so many seconds (infinity: never)."""
        self.handler = handler
        self.resume()
        self.transfer_over()
        self.deadline = self.poller.now + seconds

    # --- receiving

    cdef Py_ssize_t receive(self) except -3:
        """Bytes received into `poller.scratch`; or RECEIVED_EOF, RECEIVED_NOTHING, RECEIVED_ERROR (see `error`)."""
        cdef Py_ssize_t got
        if self._engine is not None:
            return self._receive_tls()
        while True:
            got = c_recv(self.fd, self.poller.scratch, SCRATCH, 0)
            if got >= 0:
                self._received(got)
                return got
            if c_errno != EINTR:
                break
        if c_errno == EAGAIN or c_errno == EWOULDBLOCK:
            return RECEIVED_NOTHING
        self.error = OSError(c_errno, os.strerror(c_errno))
        return RECEIVED_ERROR

    cdef Py_ssize_t _receive_tls(self) except -3:
        """As many whole records as fit: the TLS object gives one a call."""
        cdef Py_ssize_t total = 0
        cdef Py_ssize_t got
        if self._ended:
            return RECEIVED_EOF if self._read_error is None else RECEIVED_ERROR
        while total <= SCRATCH - TLS_RECORD:
            got = self._engine.read(self.poller.scratch + total, SCRATCH - total)
            if got == WANTS_READ:
                if total == 0:
                    return RECEIVED_NOTHING
                break
            if got == FAILED:
                self._ended = True
                self._read_error = self.error = self._engine.failure
                if total == 0:
                    return RECEIVED_ERROR
                break
            total += got
            if got < TLS_RECORD:
                self._ended = got == 0
                break                    # most likely the last one; if not, the loop says so again
        if self._ended and total:        # the descriptor has no event left that would show the end
            self.poller.loop.call_soon(self._on_readable)
        self._received(total)
        return total

    cdef int keep(self, const char *data, size_t size) except -1:
        """Append to `rx` what cannot be used yet."""
        cdef char *grown
        cdef size_t room = self.rx_size + size
        if room > self._rx_room:
            room += room // 2 + 256
            grown = <char *>realloc(self.rx, room)
            if grown == NULL:
                raise MemoryError
            self.rx = grown
            self._rx_room = room
        memcpy(self.rx + self.rx_size, data, size)
        self.rx_size += size
        return 0

    cdef void consume(self, size_t size) noexcept:
        """Drop the first bytes of `rx`; an empty one gives its memory back."""
        self.rx_size -= size
        if self.rx_size:
            memmove(self.rx, self.rx + size, self.rx_size)
        else:
            free(self.rx)
            self.rx = NULL
            self._rx_room = 0

    def read(self):
        """Plain-Python `receive`: bytes, b"" at the end, None when there is nothing; raises OSError."""
        cdef Py_ssize_t got = self.receive()
        if got == RECEIVED_ERROR:
            raise self.error
        return None if got == RECEIVED_NOTHING else self.poller.scratch[:got]

    def take_kept(self):
        """What `rx` holds, and empty it."""
        kept = self.rx[:self.rx_size] if self.rx_size else b""
        self.consume(self.rx_size)
        return kept

    def discard(self):
        """Receive and drop: False at the end or on an error."""
        cdef Py_ssize_t got = self.receive()
        return got > 0 or got == RECEIVED_NOTHING

    def peek(self):
        """What waits on a plain stream, at most 4 KB, left there: bytes, b"" at the end, None: nothing; raises OSError."""
        cdef char data[4096]
        cdef Py_ssize_t got = c_recv(self.fd, data, sizeof(data), MSG_PEEK | MSG_DONTWAIT)
        if got >= 0:
            return data[:got]
        if c_errno == EAGAIN or c_errno == EWOULDBLOCK or c_errno == EINTR:
            return None
        raise OSError(c_errno, os.strerror(c_errno))

    def skip(self, size_t size):
        """Drop that many bytes that `peek` has shown."""
        cdef char data[4096]
        cdef Py_ssize_t got = 1
        while size and got > 0:          # a reset drops what was there: the next one to use the descriptor sees it
            got = c_recv(self.fd, data, min(size, sizeof(data)), MSG_DONTWAIT)
            size -= max(got, 0)

    cpdef bint is_quiet(self):
        """Whether it is open and nothing waits to be received, not even the end: asked before a lane is used again."""
        cdef char byte
        if self._ended or (self._engine is not None and self._engine.holds_some()):
            return False
        if c_recv(self.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == -1:
            return c_errno == EAGAIN or c_errno == EWOULDBLOCK
        return False

    # --- sending

    cdef Sent send(self, const char *data, size_t size) except? SENT_LOST:
        """Give bytes to the kernel now, or to the queue; order is kept."""
        cdef Py_ssize_t done = 0
        if self._lost:
            return SENT_LOST
        if size == 0:
            return SENT_QUEUED if self._queue.size else SENT_ALL
        if self._queue.size == 0:
            done = self._write(data, size)
            if done < 0:
                return SENT_LOST
            if <size_t>done == size:
                return SENT_ALL
        return self._enqueue(data + done, size - done)

    cdef Sent send_both(self, const char *head, size_t head_size, const char *body, size_t size) except? SENT_LOST:
        """`send` for two pieces with one system call, or one TLS record where they fit."""
        cdef iovec pieces[2]
        cdef msghdr message
        cdef Py_ssize_t done
        cdef char *joined
        cdef Sent sent
        if self._engine is None and self._queue.size == 0 and not self._lost:
            pieces[0].iov_base = <void *>head
            pieces[0].iov_len = head_size
            pieces[1].iov_base = <void *>body
            pieces[1].iov_len = size
            memset(&message, 0, sizeof(message))
            message.msg_iov = &pieces[0]
            message.msg_iovlen = 2
            done = c_sendmsg(self.fd, &message, MSG_NOSIGNAL)
            if done > 0:
                self.sent += done
                if <size_t>done == head_size + size:
                    return SENT_ALL
                if <size_t>done >= head_size:
                    return self._enqueue(body + (done - head_size), size - (done - head_size))
                head += done
                head_size -= done
        elif head_size + size <= TLS_RECORD:
            joined = <char *>malloc(head_size + size)
            if joined == NULL:
                raise MemoryError
            memcpy(joined, head, head_size)
            memcpy(joined + head_size, body, size)
            try:
                return self.send(joined, head_size + size)
            finally:
                free(joined)
        sent = self.send(head, head_size)
        return sent if sent == SENT_LOST else self.send(body, size)

    cdef Py_ssize_t _write(self, const char *data, size_t size) except -3:
        """How much the kernel took; 0 when it would block, SENT_LOST when the peer is gone."""
        cdef Py_ssize_t done
        if self._engine is not None:
            try:
                # Without partial writes it takes all or wants a retry with the same bytes: the queue's front.
                done = self._engine.write(data, size)
            except OSError as error:
                self.error = error
                self._lost = True
                return SENT_LOST
            if done == WANTS_WRITE:
                return 0
        else:
            done = c_send(self.fd, data, size, MSG_NOSIGNAL)
            while done == -1 and c_errno == EINTR:
                done = c_send(self.fd, data, size, MSG_NOSIGNAL)
            if done == -1:
                if c_errno == EAGAIN or c_errno == EWOULDBLOCK:
                    return 0
                self.error = OSError(c_errno, os.strerror(c_errno))
                self._lost = True
                return SENT_LOST
        self.sent += done
        return done

    cdef Sent _enqueue(self, const char *data, size_t size) except? SENT_LOST:
        if not append(&self._queue, data, size):
            raise MemoryError
        self._lagging = True
        self._watch_writable(True)
        if self.patience:
            self.deadline = self.poller.now + self.patience
        return SENT_QUEUED

    cdef int _flush(self) except -1:
        cdef Py_ssize_t done = self._write(front(&self._queue), self._queue.size)
        if done == SENT_LOST:
            self._watch_writable(False)
            self.handler.lost(self, self.error)
            return 0
        if done and self.patience:
            self.deadline = self.poller.now + self.patience
        drop(&self._queue, done)
        if self._queue.size == 0:
            self._watch_writable(False)
            if self.patience:
                self.deadline = 0
            self.handler.writable(self)
        return 0

    def write(self, bytes data not None):
        """Plain-Python `send`: True when the kernel has everything, False when some waits in the queue; raises OSError."""
        cdef Sent sent = self.send(data, len(data))
        if sent == SENT_LOST:
            raise self.error or ConnectionError("the stream is closed")
        return sent == SENT_ALL

    def relay(self, Stream peer not None):
        """Receive once and send it to `peer`: "more", "queued" (wait for peer's `writable`), "nothing", "end"; raises OSError."""
        cdef Py_ssize_t got = self.receive()
        cdef Sent sent
        if got == RECEIVED_EOF:
            return "end"
        if got == RECEIVED_NOTHING:
            return "nothing"
        if got == RECEIVED_ERROR:
            raise self.error
        sent = peer.send(self.poller.scratch, got)
        if sent == SENT_LOST:
            raise peer.error
        return "more" if sent == SENT_ALL else "queued"

    cpdef bint has_queue(self):
        """Whether bytes wait for the peer to read."""
        return self._queue.size > 0

    def forget_tls(self):
        """The handshake has failed: what is still received is dropped as it comes, and nothing is encrypted."""
        self._engine = None

    # --- ending

    def finish_writing(self):
        """Say that no more will come: close_notify and FIN; reading goes on."""
        # Python's shutdown reads too, and data would be a fatal error to it.
        if self._engine is not None and (self._engine.direct or self._ended or self.is_quiet()):
            self._notify_close()
        c_shutdown(self.fd, SHUT_WR)

    cdef _notify_close(self):
        if self._engine is not None and self._phase == OPEN and not self._lost and self._read_error is None:
            self._engine.notify_close()      # not after an error (SSL_get_error(3)), as an end without one is

    cpdef close(self):
        """Close in order. Bytes in the send queue are dropped: wait for `writable` first where they matter."""
        cdef int fd = self.fd
        if self.closed:
            return
        self.reading = self._writing = False
        self._watch()
        self.closed = True
        self.poller._forget(self)
        self._notify_close()
        self._lost = True
        self._engine = None
        self.fd = -1                     # whatever is still done with it must not reach another one's descriptor
        self.handler = _NOBODY           # or stream and handler would keep each other alive
        if self.tls is not None:
            self.tls.close()
        else:
            c_close(fd)

    def release(self):
        """Give the descriptor of a plain stream back, still connected: this stream is closed."""
        cdef int fd = self.fd
        self.reading = self._writing = False
        self._watch()
        self.closed = self._lost = True
        self.poller._forget(self)
        self.handler = _NOBODY
        self.fd = -1
        return fd

    def abort(self):
        """Close with a reset, so that the peer cannot take what it got for complete."""
        cdef linger now = linger(1, 0)
        if self.closed:
            return
        self._lost = True                # no close_notify either: it would look like a clean end
        c_setsockopt(self.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now))
        self.close()
