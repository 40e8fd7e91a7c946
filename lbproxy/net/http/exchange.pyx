# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The HTTP/1 front: requests from a client one after the other, each with its answer; made once for a client connection.

Heads are read and written here; the relay (`net.http.relay`) moves a request on its lane. The policy, a plain-Python
object (`net.http.client.ClientConnection`), decides. On the fast path it does not: a request without credentials, which
is never sent again with its body, goes to the next backend in rotation on an idle shared lane (`net.upstream.shared`)
while `fast_path` is set; one without a body goes to the lane that is `following()` while `follows` is set. When it ends
well, its lane is idle again. In all other cases, before it is sent or until it has ended, the policy is called:

    slow(exchange)                          a request waits for its answer for `slow_after` seconds; called once
    asks_again(exchange, status)            a response of `retry_statuses`: True if another backend is asked instead
    route(exchange)                         a request is complete enough to be sent: call run() now or later, or refuse()
    following()                             the lane of a request without credentials, if the client is bound to one
    answering(exchange, head)               a response head that has a challenge, or any when `watch` is set
    lane_failed(exchange, link, reason)     the lane ended before the answer began: call run() or refuse()
    tunnel_opened(exchange, link, early)    the backend switched protocols; `early` are its first bytes
    finished(exchange, link, reusable, reason)   the exchange is over; the lane (None: there is none) is the policy's again
    hang_up(exchange, gently)               no further request is served on the client connection
    ended(exchange, reason)                 the client connection ended; reason is None when a request ended with it
    refusal(exchange, reason, keep)         the bytes of lbproxy's own answer
    rewrite_location(value)                 a Location line's new value
    log(exchange, reason)                   a request of the fast path has ended (only if there is a log)
"""

import logging

from lbproxy import reasons

from libc.string cimport memcpy

from lbproxy.net.http.phases cimport ENDED, IDLE, SENT, UPLOADING, WAITING, phase_name
from lbproxy.net.http.relay cimport Relay
from lbproxy.net.http.request_ids cimport RequestIds
from lbproxy.net.http.site cimport Site
from lbproxy.net.transport.poller cimport monotonic
from lbproxy.net.transport.stream cimport RECEIVED_NOTHING, SENT_ALL, SENT_LOST, Sent, Stream, queued
from lbproxy.net.upstream.shared cimport LaneCore, next_idle_lane
from lbproxy.wire.heads cimport Framing, head_end, reason_of
from lbproxy.wire.request_heads cimport RequestHead
from lbproxy.wire.response_heads cimport ResponseHead
from lbproxy.wire.slices cimport Slice, equal, slice_of, to_bytes

cdef enum:
    KEPT_LIMIT = 65536           # bytes of pipelined requests that are read ahead
    JOINED = 4096                # bytes of a body that are copied behind their head: cheaper than to send two pieces

cdef double FIRST_WORD = 1.0     # seconds that a connection which never asked anything has left in a drain
cdef object _DONE = reasons.DONE
cdef object _log = logging.getLogger(__name__)


cdef class Exchange(Relay):

    def __cinit__(self, Site site not None, Stream client not None, policy, bytes address not None, bint trusted):
        """client: its stream, already open; address: the client's, for X-Forwarded-For; trusted: keep what it forwards."""
        self._forwarding = site.forwarding
        self._address = address
        self._client_address = slice_of(address)
        self._trusted = trusted
        self.ids = None if site.ids is None else RequestIds(site.ids)

    def __repr__(self):
        return f"<Exchange {phase_name(self.phase)} {self.method!r} {self.status} {self.client!r}>"

    def identify(self, str server_name, bytes identity not None):
        """After the TLS handshake: the name that the client asked for, and the header lines with its identity."""
        self._server_name = server_name
        if identity:
            self._forwarding = self.site.forwarding.identified(identity)

    def serve(self):
        """Begin with the first request."""
        self.client.handler = self
        self.client.patience = self.site.idle_timeout
        self.await_client(self.site.idle_timeout)
        self.client.resume()
        if self.site.draining:
            self.drain()

    # --- events

    cpdef readable(self, Stream stream):
        if stream is self.client:
            self._from_client()
        elif stream is self.link:
            self.from_lane()
        else:
            stream.abort()                   # a lane that a fault of ours left behind

    cpdef writable(self, Stream stream):
        """A queue is empty again: the side that filled it may go on."""
        if stream is self.client:
            if self.phase == IDLE:
                self.await_client(self.site.idle_timeout)
                stream.transfer_over()
                self._begin_kept()
                if self.site.draining:
                    self.drain()
                return
            self.client_drained()
        elif self.link is stream and not self.request_body.done:
            self.upload_kept()

    cpdef lost(self, Stream stream, object error):
        """A queue could not be written. A lane is read to its end: it may have answered before it closed."""
        if stream is self.client:
            self.client_gone()

    cpdef expired(self, Stream stream):
        if stream is not self.client:
            if stream is not self.link:
                stream.abort()
            else:
                self.lane_expired()
        elif queued(stream):
            self.cut(reasons.CLIENT_STALLED)
        elif self.phase == IDLE and stream.rx_size == 0:
            self.enter(ENDED)
            self.policy.ended(self, reasons.IDLE_TIMEOUT)
        elif self.phase == IDLE:
            self._reset()
            self.turn_down(reasons.HEADER_TIMEOUT)
        elif self.phase == SENT:
            self.turn_down(reasons.BODY_TIMEOUT)
        else:
            self.cut(reasons.BODY_TIMEOUT)

    cpdef crashed(self, Stream stream, object error):
        """A fault in lbproxy: contained to this client connection, and logged whole."""
        _log.error("fault", extra={"fields": {"exchange": self}}, exc_info=error)
        if stream.handler is self:           # else it is a lane that rests already, and is its own
            stream.abort()
        self.client.abort()
        try:
            if self.phase != ENDED:
                self.cut(reasons.INTERNAL)
        finally:
            self.policy.ended(self, reasons.INTERNAL)

    # --- the request

    cdef int _from_client(self) except -1:
        cdef Stream client = self.client
        cdef Py_ssize_t got = client.receive()
        cdef Py_ssize_t used
        if got == RECEIVED_NOTHING:
            return 0
        if got <= 0:
            return self.client_gone()
        if self.phase == IDLE and not queued(client):
            return self._begin(self.poller.scratch, got, False)
        if SENT <= self.phase <= UPLOADING and not self.request_body.done and client.rx_size == 0:
            used = self.forward(self.poller.scratch, got)
            if used < 0:
                return 0
            if used < got:
                client.keep(self.poller.scratch + used, got - used)
            return self.upload_moved()
        client.keep(self.poller.scratch, got)
        if client.rx_size >= KEPT_LIMIT:
            client.pause()
        return 0

    def next_request(self):
        """Go on with what a client sent ahead; called by the event loop."""
        try:
            self._begin_kept()
        except Exception as error:
            self.crashed(self.client, error)

    cdef int _begin_kept(self) except -1:
        if self.phase == IDLE and self.client.rx_size and not queued(self.client):
            self._scanned = 0
            self._begin(self.client.rx, self.client.rx_size, True)
        return 0

    cdef int _begin(self, const char *data, size_t size, bint kept) except -1:
        """Look for a whole request head. One that comes in pieces is parsed again only when its end is there."""
        cdef Stream client = self.client
        cdef RequestHead request = self.site.request
        cdef Py_ssize_t head
        if client.rx_size and not kept:
            client.keep(data, size)
            data = client.rx
            size = client.rx_size
            kept = True
            if size < request.limits.max_head and head_end(data, size, self._scanned) == 0:
                self._scanned = size
                return 0
        head = request.parse(data, size)
        if head == 0:
            if not kept:
                client.keep(data, size)
            if not self._scanned:
                client.deadline = self.poller.now + self.site.header_timeout
            self._scanned = size
            client.resume()
            return 0
        self._scanned = 0
        self._reset()
        if head < 0:
            self.target = to_bytes(request.target)
            self.method = to_bytes(request.method)
            self._minor = request.minor
            self.turn_down(reason_of(head))
            return 0
        return self._accept(data, size, head, kept)

    cdef int _reset(self) except -1:
        """Forget the request before."""
        self.method = self.target = self.host = self.user_agent = b""
        self.authorization = self._head = None
        self.status = self._informational = 0
        self.bytes_in = self.bytes_out = self.body_sent = 0
        self.sent = self.first_byte = self.ended = 0
        self.has_body = self.idempotent = False
        self._minor = 0
        self._keeps = 0
        self._sent_body = None
        self.started = monotonic()
        self.closes = True
        self._on_fast_path = False
        if self.ids is not None:
            self.ids.renew()
        return 0

    cdef bint _is_directed(self):
        """Whether the Host is served here and, on TLS, the name that the connection was made for (RFC 9110 section 7.4)."""
        if self.host is self._directed:
            return True
        if not self.site.serves(self.host, self._server_name):
            return False
        self._directed = self.host
        return True

    cdef int _accept(self, const char *data, size_t size, Py_ssize_t head, bint kept) except -1:
        """A whole, valid head: take from it what is needed later, drop it from the input, and ask for a lane."""
        cdef Site site = self.site
        cdef RequestHead request = site.request
        cdef char *out
        cdef object refused = None
        self.method = b"GET" if equal(request.method, b"GET") else to_bytes(request.method)
        self.host = self._directed if equal(request.host, self._directed) else site.host_of(request.host)
        if request.authorization.at != NULL:
            self.authorization = to_bytes(request.authorization)
        if self.ids is not None:
            self.ids.choose(request, self._trusted)
        if site.logs or (self.ids is not None and self.ids.recorded):
            self.target = to_bytes(request.target)
            self.user_agent = to_bytes(request.user_agent)
        if self.host and not self._is_directed():
            refused = reasons.MISDIRECTED
        elif site.denies_path():
            refused = reasons.DENIED_PATH
        self._minor = request.minor
        self._takes_chunks = request.minor != 0
        self._is_head = self.method == b"HEAD"
        self._expects = request.flags.expects
        self.idempotent = request.flags.idempotent
        self._upgrade = request.flags.upgrade == 3 and request.minor and request.framing == Framing.NO_BODY
        self.closes = site.draining or not request.keeps_alive()
        self.begin_body(request.framing, request.length)
        self.head_size = self.bytes_in = head
        site.requests += 1
        self.requests += 1
        if refused is None:
            out = self.poller.out(request.bound(self._forwarding, self._client_address))
            self._head = out[:request.write(out, self._forwarding, self._client_address, self._trusted)]
        if kept:
            self.client.consume(head)
        elif <size_t>head < size:
            self.client.keep(data + head, size - head)
        if refused is not None:
            self.turn_down(refused)
            return 0
        self.enter(WAITING)
        if not self._take_fast_path():
            self.policy.route(self)
        return 0

    cdef LaneCore _decided_lane(self):
        """The lane of a request of which nothing is to be decided, not even whether its body is kept; None: ask the policy."""
        cdef LaneCore lane
        if self.authorization is not None or (self.ids is not None and self.ids.recorded):
            return None
        if not self.fast_path:
            lane = self.policy.following() if self.follows and not self.has_body and not self._upgrade else None
            return lane if lane is not None and lane.backend.placed and lane.stream.is_quiet() else None
        if self.has_body and (self.idempotent or self.method != b"POST"):
            return None
        return next_idle_lane(self.site.round_robin)

    cdef bint _take_fast_path(self) except -1:
        """Send a request of which nothing is to be decided; False: the policy has to say where."""
        cdef LaneCore lane = self._decided_lane()
        if lane is None:
            return False
        lane.backend.begin_request()
        self.lane = self.served_by = lane
        self.tries = 1
        self._on_fast_path = True
        self.run_on(lane.stream, lane.begin(0))
        return True

    # --- the answer

    cdef Sent inform(self, ResponseHead response) except? SENT_LOST:
        """Pass a 1xx on; not to HTTP/1.0 (RFC 9110 section 15.2)."""
        cdef char *out
        if not self._minor:
            return SENT_ALL
        out = self.poller.out(response.bound())
        return self.client.send(out, response.write(out, b"", False))

    cdef Sent begin_answer(self, ResponseHead response, bint decode, Slice first) except? SENT_LOST:
        """Write its head, and the first piece of its body with it."""
        cdef size_t written
        cdef char *out
        self.authorization = None            # a ticket takes up to 64 KB, and the answer or the tunnel may be long
        if response.location >= 0:
            response.relocate(self.policy.rewrite_location)
        out = self.poller.out(response.bound() + JOINED)
        written = response.write(out, self._connection_line(), decode)
        self.bytes_out += written + first.size
        if first.size > JOINED:
            return self.client.send_both(out, written, first.at, first.size)
        memcpy(out + written, first.at, first.size)
        return self.client.send(out, written + first.size)

    cdef const char *_connection_line(self) noexcept:
        if self.closes:
            return b"Connection: close\r\n"
        return b"" if self._minor else b"Connection: keep-alive\r\n"

    cdef int finish(self, object reason) except -1:
        cdef Stream link = self.link
        cdef Stream client = self.client
        cdef bint whole = self.request_body.done
        self.link = None
        self._head = None
        self.enter(IDLE)
        # A backend that answered without reading it all might never do so.
        self._over(link, self._reusable and whole and not queued(link), reason)
        if self.closes or not whole:
            self.enter(ENDED)
            self.policy.hang_up(self, not whole or client.rx_size > 0)
            return 0
        client.transfer_over()
        if client.rx_size and not queued(client):
            self.poller.loop.call_soon(self.next_request)
        if client.rx_size < KEPT_LIMIT:
            client.resume()
        return 0

    # --- endings

    def refuse(self, object reason not None):
        """Answer with lbproxy's own page, instead of an answer that has not begun."""
        self.turn_down(reason)

    cdef int turn_down(self, object reason) except -1:
        cdef Stream link = self.link
        cdef bytes answer
        cdef bint keep = self._head is not None or reason.status in (404, 421)
        keep = keep and not self.closes and self.request_body.done
        self.link = None
        self._head = None
        self._scanned = 0
        self.status = reason.status
        self.enter(IDLE)
        self.closes = not keep
        answer = self.policy.refusal(self, reason, keep)
        self.bytes_out += len(answer)
        self.client.send(answer, len(answer))
        self._over(link, False, reason)
        if keep and not self.closes:
            self.client.resume()
            self.poller.loop.call_soon(self.next_request)
        else:
            self.enter(ENDED)
            self.policy.hang_up(self, True)
        return 0

    cdef int _over(self, Stream link, bint reusable, object reason) except -1:
        """The request is over; the policy is called once, except on the fast path."""
        self.ended = monotonic()
        self.authorization = None            # a ticket takes up to 64 KB, and the client may be idle for long
        if self.status == 0:
            self.status = reason.status      # for the log: the client got none
        self.site.observe(self.ended - self.started)
        if self._on_fast_path and reusable and reason is _DONE and self.status < 400 and self.lane.backend.placed:
            self._end_fast_path()
        else:
            self.policy.finished(self, link, reusable, reason)
        self.served_by = None
        self.tries = 0                       # the next request may be refused at once
        return 0

    cdef int _end_fast_path(self) except -1:
        """A request of the fast path ended well: count it without the policy."""
        cdef LaneCore lane = self.lane
        self.lane = None
        lane.backend.end_request(self.status)
        self.site.on_fast_path += 1
        lane.rest()
        if self.site.logs:
            self.policy.log(self, _DONE)
        return 0

    def tunnel_closed(self, object reason not None):
        """The tunnel that this request became is closed."""
        self.bytes_in += self.client.received
        self.bytes_out += self.client.sent
        self._over(None, False, reason)

    cdef str _protocol(self):
        """As the client named it; empty if it could not be read."""
        if self._minor == 1:
            return "HTTP/1.1"
        return f"HTTP/1.{self._minor}" if self._minor or self.target else ""

    def summary(self):
        """The access log's part of a request that has ended; strings are latin-1, times milliseconds, -1: not reached.

        (method, target, host, protocol, status, bytes in, bytes out, user agent, until sent, until answered, in all, id, trace)
        """
        return (
            self.method.decode("latin-1"),
            self.target.decode("latin-1"),
            self.host.decode("latin-1"),
            self._protocol(),
            self.status,
            self.bytes_in,
            self.bytes_out,
            self.user_agent.decode("latin-1"),
            1000 * (self.sent - self.started) if self.sent else -1.0,
            1000 * (self.first_byte - self.started) if self.first_byte else -1.0,
            1000 * (self.ended - self.started),
            "" if self.ids is None else self.ids.request_id.decode("latin-1"),
            "" if self.ids is None else self.ids.trace_id,
        )

    @property
    def idle_for(self):
        """Seconds since the last answer, while there is no request."""
        if self.phase != IDLE or self.client.rx_size or queued(self.client):
            return 0.0
        return self.site.idle_timeout - (self.client.deadline - self.poller.now)

    def drain(self):
        """End an idle client connection now, a busy one with its answer; one that is new may ask once, soon."""
        self.closes = True
        if self.phase != IDLE or self.client.rx_size or queued(self.client):
            return
        if self.started == 0:
            self.client.deadline = self.poller.now + FIRST_WORD
        elif self.client.is_quiet():
            self.enter(ENDED)
            self.policy.ended(self, reasons.DRAINED)

    def stop(self, object reason not None):
        """End now, whatever is going on."""
        if self.phase == IDLE:
            self.enter(ENDED)
            self.policy.ended(self, reason)
        elif self.phase != ENDED:
            self.cut(reason)

    cdef int cut(self, object reason) except -1:
        """End visibly in the middle: a reset, so that the client does not take a part for the whole."""
        cdef Stream link = self.link
        cdef bint busy = self.phase != IDLE
        self.link = None
        self.enter(ENDED)
        self.client.abort()
        if busy:
            self._over(link, False, reason)
        self.policy.ended(self, None if busy else reason)
        return 0

    cdef int client_gone(self) except -1:
        """The end of what a client sends is taken for its going away, as browsers mean it; no half-closed clients."""
        if self.phase == IDLE:
            self.enter(ENDED)
            self.policy.ended(self, reasons.CLIENT_GONE if self.client.rx_size else reasons.CLIENT_CLOSED)
            return 0
        return self.cut(reasons.CLIENT_GONE)
