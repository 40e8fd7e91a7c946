# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""One request and its answer between two streams; made once for each client connection and used for all its requests.

Bytes move here. What is decided is asked of the policy, a plain-Python object (`net.client.ClientConnection`), and a
standing decision is kept without asking: while `asks_nobody` is set, a request without credentials, which is never sent
again with its body, goes to the next backend in rotation on a shared lane that is idle (`net.shared`), and when it ends
well, that lane rests again. Whatever else comes, before such a request is sent or until it has ended, is the policy's:

    slow(exchange)                          a request waits for its answer for `suspicion` seconds; told once
    asks_again(exchange, status)            a response of `retry_statuses`: True if another backend is asked instead
    route(exchange)                         a request is complete enough to be sent: call run() now or later, or refuse()
    answering(exchange, head)               a response head that has a challenge, or any when `watch` is set
    lane_failed(exchange, link, reason)     the lane ended before the answer began: call run() or refuse()
    tunnel_opened(exchange, link, early)    the backend switched protocols; `early` are its first bytes
    finished(exchange, link, reusable, reason)   the exchange is over; the lane (None: there is none) is the policy's again
    hang_up(exchange, gently)               no further request is served on the client connection
    ended(exchange, reason)                 the client connection ended; reason is None when a request ended with it
    refusal(exchange, reason, keep)         the bytes of lbproxy's own answer
    rewrite_location(value)                 a Location line's new value
    log(exchange, reason)                   a request of which it was not asked has ended (only where there is a log)
"""

import logging

from lbproxy import reasons
from lbproxy.wire.hosts import without_port

from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy

from lbproxy.balance.round_robin cimport BackendCore, RoundRobin
from lbproxy.net.upstream.shared cimport LaneCore, take_turn
from lbproxy.net.transport.stream cimport (
    RECEIVED_EOF,
    RECEIVED_NOTHING,
    SENT_LOST,
    Handler,
    Poller,
    Sent,
    Stream,
    monotonic,
)
from lbproxy.wire.bodies cimport BODY_BAD_CHUNK, BODY_DONE, BODY_MORE, Body, BodyStatus
from lbproxy.wire.fields cimport FieldTable
from lbproxy.wire.heads cimport Framing, head_end, reason_of
from lbproxy.wire.path_list cimport path_listed
from lbproxy.wire.request_heads cimport Forwarding, RequestHead
from lbproxy.wire.response_heads cimport ResponseHead
from lbproxy.wire.slices cimport Slice, slice_of, to_bytes

cdef enum:
    KEPT_LIMIT = 65536           # bytes of pipelined requests that are read ahead
    MAX_INFORMATIONAL = 16       # 1xx answers of one backend to one request
    MAX_HOSTS = 64               # spellings of Host that are remembered
    JOINED = 4096                # bytes of a body that are copied behind their head: cheaper than to send two pieces

cdef double FIRST_WORD = 1.0     # seconds that a connection which never asked anything has left in a drain
cdef double[BUCKETS - 1] _LE = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
]
cdef tuple _PHASES = ("idle", "waiting", "sent", "answering", "uploading", "ended")
# Phase -> which may follow, as bits. `_enter` keeps to it, and arms the deadline of each.
cdef int[6] _NEXT = [
    1 << IDLE | 1 << WAITING | 1 << ENDED,                   # IDLE; a refused head is answered without a lane
    1 << IDLE | 1 << SENT | 1 << ENDED,                      # WAITING
    1 << IDLE | 1 << WAITING | 1 << ANSWERING | 1 << ENDED,  # SENT
    1 << UPLOADING | 1 << ENDED,                             # ANSWERING
    1 << IDLE | 1 << ENDED,                                  # UPLOADING
    0,                                                       # ENDED
]
cdef object _DONE = reasons.DONE
cdef object _log = logging.getLogger(__name__)


def moves():
    """{phase: the phases that may follow}, by name: the table that every exchange keeps to."""
    return {name: [to for j, to in enumerate(_PHASES) if _NEXT[i] >> j & 1] for i, name in enumerate(_PHASES)}


cdef inline bint _equal(Slice text, bytes other) noexcept:
    return other is not None and text.size == <size_t>len(other) and memcmp(text.at, <const char *>other, text.size) == 0


cdef class Site:

    def __init__(
        self,
        RequestHead request not None,
        ResponseHead response not None,
        FieldTable request_trailers not None,
        FieldTable response_trailers not None,
        Forwarding forwarding not None,
        RoundRobin turns=None,
        *,
        host_served,
        tuple denied_paths not None,
        path_denied,
        double header_timeout,
        double idle_timeout,
        double response_timeout,
        bint logs,
        double suspicion=0.0,
        frozenset retry_statuses not None=frozenset(),
    ):
        """turns: of the backends in rotation, where a request may go without asking; None: nowhere.

        host_served(bytes) and path_denied(bytes) decide rare spellings; common ones are decided here.

        denied_paths are normalised; times are seconds; logs: keep what only the access log needs.
        """
        self.request = request
        self.response = response
        self.request_trailers = request_trailers
        self.response_trailers = response_trailers
        self.forwarding = forwarding
        self._turns = turns
        self._hosts = set()
        self._host_served = host_served
        self._denied_paths = denied_paths
        self._path_denied = path_denied
        self.header_timeout = header_timeout
        self.idle_timeout = idle_timeout
        self.response_timeout = response_timeout
        self._suspicion = suspicion if suspicion < response_timeout else 0.0
        self.logs = logs
        self._retry_statuses = retry_statuses
        self._retries = bool(retry_statuses)

    cdef bint serves_host(self, bytes host):
        if host in self._hosts:
            return True
        if not self._host_served(host):
            return False
        if len(self._hosts) < MAX_HOSTS:
            self._hosts.add(host)
        return True

    cdef bint denies_path(self):
        """Whether the request head's path is denied, however it is spelled."""
        cdef int listed
        if not self._denied_paths:
            return False
        listed = path_listed(self.request.target, self._denied_paths)
        return listed == 1 or (listed == 2 and self._path_denied(to_bytes(self.request.target)))

    cdef void observe(self, double seconds) noexcept:
        cdef int i = 0
        while i < BUCKETS - 1 and seconds > _LE[i]:
            i += 1
        self._buckets[i] += 1
        self.seconds += seconds

    def histogram(self):
        """[(upper bound in seconds, requests at or below it)], without the last bucket, which is all requests."""
        cdef uint64_t total = 0
        found = []
        for i in range(BUCKETS - 1):
            total += self._buckets[i]
            found.append((_LE[i], total))
        return found

    @property
    def observed(self):
        """Requests in the histogram."""
        cdef uint64_t total = 0
        for i in range(BUCKETS):
            total += self._buckets[i]
        return total


cdef class Exchange(Handler):

    def __cinit__(self, Site site not None, Stream client not None, policy, bytes address not None, bint trusted):
        """client: its stream, already open; address: the client's, for X-Forwarded-For; trusted: keep what it forwards."""
        self.site = site
        self.poller = client.poller
        self.client = client
        self.policy = policy
        self._forwarding = site.forwarding
        self._address = address
        self._client_address = slice_of(address)
        self._trusted = trusted
        self.request_body = Body()
        self.response_body = Body()

    def __repr__(self):
        return f"<Exchange {_PHASES[self.phase]} {self.method!r} {self.status} {self.client!r}>"

    def identify(self, str server_name, bytes identity not None):
        """After the TLS handshake: the name that the client asked for, and the header lines that say who it is."""
        self._server_name = server_name
        if identity:
            self._forwarding = self.site.forwarding.identified(identity)

    def serve(self):
        """Begin with the first request."""
        self.client.handler = self
        self.client.patience = self.site.idle_timeout
        self._await_client(self.site.idle_timeout)
        self.client.resume()
        if self.site.draining:
            self.drain()

    # --- what it waits for, and how long

    cdef int _enter(self, Phase phase) except -1:
        """Go on to another phase: each begins with the deadline of whoever is waited for in it.

        Within a phase the turn passes from one to the other by `_await_answer`, `_await_body` and `_await_reader`.
        """
        if not _NEXT[<int>self.phase] >> <int>phase & 1:
            raise RuntimeError(f"{self!r}: {_PHASES[<int>phase]} is out of order")
        self.phase = phase
        if phase == IDLE:
            self._await_client(self.site.idle_timeout)
        elif phase == WAITING:
            self._await_client(0)            # the lane that the policy asks for has its connect_timeout
        elif phase == SENT:
            self._await_answer()
        elif phase != ENDED:
            self.link.deadline = self.poller.now + self.site.response_timeout
        return 0

    cdef int _await_client(self, double seconds) except -1:
        """For its request or its body (0: for nothing), unless it has an answer to read: then that one's clock runs."""
        if not self.client.has_queue():
            self.client.deadline = self.poller.now + seconds if seconds else 0
        return 0

    cdef int _await_answer(self) except -1:
        """The backend's turn, from now on; when it takes long, that is told before it is too long."""
        cdef double suspicion = 0 if self._suspected else self.site._suspicion
        self._await_client(0)
        self.link.deadline = self.poller.now + (suspicion if suspicion else self.site.response_timeout)
        return 0

    cdef int _await_body(self) except -1:
        """The client's turn, with its body; the clock of an answer that has begun runs on."""
        self._await_client(self.site.idle_timeout)
        if self.phase == SENT:
            self.link.deadline = 0
        return 0

    cdef int _await_reader(self) except -1:
        """The client's turn, who has to read what is queued: each byte that it takes renews its patience."""
        self.link.pause()
        self.link.deadline = 0
        return 0

    cpdef bint covered(self, Stream stream) except -1:
        """Of the client and its lane one has a deadline, as long as the request has not ended."""
        cdef LaneCore lane = self.lane
        if stream is self.link:
            return self.client.deadline > 0
        if stream is not self.client:
            return False
        if self.link is not None:
            return not self.link.closed and self.link.deadline > 0
        return self.phase == WAITING and lane is not None and not lane.closed and lane.stream.deadline > 0

    # --- events

    cpdef readable(self, Stream stream):
        if stream is self.client:
            self._from_client()
        elif stream is self.link:
            self._from_lane()
        else:
            stream.abort()                   # a lane that a fault of ours left behind

    cpdef writable(self, Stream stream):
        """A queue is empty again: whoever filled it may go on."""
        if stream is self.client:
            if self.phase == IDLE:
                self._await_client(self.site.idle_timeout)
                self._begin_kept()
                if self.site.draining:
                    self.drain()
                return
            if self.phase == ANSWERING:
                self.link.deadline = self.poller.now + self.site.response_timeout
                self.link.resume()
            if SENT <= self.phase <= UPLOADING and stream.reading and not self.request_body.done:
                self._await_client(self.site.idle_timeout)
        elif self.link is stream and not self.request_body.done:
            self._upload_kept()

    cpdef lost(self, Stream stream, object error):
        """A queue could not be written. A lane is read to its end: it may have answered before it closed."""
        if stream is self.client:
            self._client_gone()

    cpdef expired(self, Stream stream):
        if stream is not self.client:
            if stream is not self.link:
                stream.abort()
            elif self.phase == SENT and not self._suspected and self.site._suspicion:
                self._suspected = True
                stream.deadline = self.poller.now + self.site.response_timeout - self.site._suspicion
                self.policy.slow(self)
            elif self.phase == SENT:
                self._lane_failed(reasons.RESPONSE_TIMEOUT)
            elif self.phase == ANSWERING:
                self._cut(reasons.RESPONSE_STALLED)
            else:
                self.closes = True
                self._finish(reasons.DONE)
        elif stream.has_queue():
            if self.phase == IDLE:
                stream.abort()
                self._enter(ENDED)
                self.policy.ended(self, reasons.CLIENT_STALLED)
            else:
                self._cut(reasons.CLIENT_STALLED)
        elif self.phase == IDLE and stream.rx_size == 0:
            self._enter(ENDED)
            self.policy.ended(self, reasons.IDLE_TIMEOUT)
        elif self.phase == IDLE:
            self._reset()
            self.refuse(reasons.HEADER_TIMEOUT)
        elif self.phase == SENT:
            self.refuse(reasons.BODY_TIMEOUT)
        else:
            self._cut(reasons.BODY_TIMEOUT)

    cpdef crashed(self, Stream stream, object error):
        """A fault in lbproxy: contained to this client connection, and logged whole."""
        _log.error("fault", extra={"fields": {"exchange": self}}, exc_info=error)
        if stream.handler is self:           # else it is a lane that rests already, and is its own
            stream.abort()
        self.client.abort()
        try:
            if self.phase != ENDED:
                self._cut(reasons.INTERNAL)
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
            return self._client_gone()
        if self.phase == IDLE and not client.has_queue():
            return self._begin(self.poller.scratch, got, False)
        if SENT <= self.phase <= UPLOADING and not self.request_body.done and client.rx_size == 0:
            used = self._forward(self.poller.scratch, got)
            if used < 0:
                return 0
            if used < got:
                client.keep(self.poller.scratch + used, got - used)
            return self._upload_moved()
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
        if self.phase == IDLE and self.client.rx_size and not self.client.has_queue():
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
            self.refuse(reason_of(head))
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
        self._plain = False
        return 0

    cdef bint _is_directed(self):
        """Whether the Host is served here and, on TLS, the name that the connection was made for (RFC 9110 section 7.4)."""
        if self.host is self._directed:
            return True
        if not self.site.serves_host(self.host):
            return False
        if self._server_name is not None and without_port(self.host) != self._server_name:
            return False
        self._directed = self.host
        return True

    cdef int _accept(self, const char *data, size_t size, Py_ssize_t head, bint kept) except -1:
        """A whole, valid head: take from it what is needed later, drop it from the input, and ask for a lane."""
        cdef Site site = self.site
        cdef RequestHead request = site.request
        cdef char *out
        cdef object refused = None
        self.method = b"GET" if _equal(request.method, b"GET") else to_bytes(request.method)
        self.host = self._directed if _equal(request.host, self._directed) else to_bytes(request.host)
        if request.authorization.at != NULL:
            self.authorization = to_bytes(request.authorization)
        if site.logs:
            self.target = to_bytes(request.target)
            self.user_agent = to_bytes(request.user_agent)
        if self.host and not self._is_directed():
            refused = reasons.MISDIRECTED
        elif site.denies_path():
            refused = reasons.DENIED_PATH
        self._minor = request.minor
        self._is_head = self.method == b"HEAD"
        self._expects = request.flags.expects
        self.idempotent = request.flags.idempotent
        self._upgrade = request.flags.upgrade == 3 and request.minor and request.framing == Framing.NO_BODY
        self.closes = site.draining or not request.keeps_alive()
        self.request_body.start(request.framing, request.length, False, site.request_trailers, False)
        self.has_body = not self.request_body.done
        self.head_size = self.bytes_in = head
        site.requests += 1
        if refused is None:
            out = self.poller.out(request.bound(self._forwarding, self._client_address))
            self._head = out[:request.write(out, self._forwarding, self._client_address, self._trusted)]
        if kept:
            self.client.consume(head)
        elif <size_t>head < size:
            self.client.keep(data + head, size - head)
        if refused is not None:
            self.refuse(refused)
            return 0
        self._enter(WAITING)
        if not self._is_plain() or not self._take_turn():
            self.policy.route(self)
        return 0

    cdef bint _is_plain(self):
        """Whether nothing is to be decided: no identity, and no body that has to be kept in case it is sent again."""
        if not self.asks_nobody or self.authorization is not None:
            return False
        return not self.has_body or (not self.idempotent and self.method == b"POST")

    cdef bint _take_turn(self) except -1:
        """Send a request of which nothing is to be decided; False: the policy has to say where."""
        cdef LaneCore lane = take_turn(self.site._turns)
        if lane is None:
            return False
        lane.backend.active += 1
        lane.served += 1
        self.lane = self.served_by = lane
        self.tries = 1
        self._plain = True
        self._run(lane.stream, lane.served == 1)
        return True

    def run(self, Stream link not None, bint fresh):
        """Send the request on a lane. fresh: no request was sent on it before."""
        self._run(link, fresh)

    cdef int _run(self, Stream link, bint fresh) except -1:
        cdef const char *head = self._head
        cdef const char *body
        if link.closed:
            raise RuntimeError(f"{self!r}: {link!r} cannot take a request")
        self.link = link
        link.handler = self
        link.patience = 0
        self._suspected = False
        self._informational = 0
        self._fresh = fresh
        self._scanned = 0
        self._enter(SENT)
        if self.site.logs:
            self.sent = monotonic()
        link.send(head, len(self._head))     # a loss shows when the lane is read
        if self._sent_body:
            body = self._sent_body
            link.send(body, len(self._sent_body))
        if not self.request_body.done:
            self._upload_kept()
        return 0

    def keep_body(self, size_t limit):
        """Keep what is sent of the body, up to `limit` bytes, so that it can be sent again."""
        self._keeps = limit
        self._sent_body = bytearray()

    @property
    def body_kept(self):
        """Whether all of the body that was sent can be sent again."""
        return not self.has_body or self._sent_body is not None

    cdef int _keep_sent(self, Slice span) except -1:
        if len(self._sent_body) + span.size > self._keeps:
            self._sent_body = None
        else:
            self._sent_body += span.at[:span.size]
        return 0

    def untouched(self):
        """Whether a request waits for its answer on a lane, and no byte of that has come."""
        return self.phase == SENT and self.link.rx_size == 0

    def move(self, object reason not None):
        """Give the lane of an untouched request up: the policy asks another backend."""
        try:
            self._lane_failed(reason)
        except Exception as error:
            self.crashed(self.client, error)

    cdef Py_ssize_t _forward(self, const char *data, size_t size) except -2:
        """Pass request body on to the lane; how many bytes were used, or -1 when the exchange ended over it."""
        cdef Body body = self.request_body
        cdef BodyStatus status = BODY_MORE
        cdef const char *at = data
        cdef size_t left = size
        cdef size_t used
        cdef Slice span
        while left and not body.done:
            used = 0
            span.size = 0
            status = body.next(at, left, &used, &span)
            if status > BODY_DONE:
                if self.phase == SENT:
                    self.refuse(reasons.BAD_CHUNK if status == BODY_BAD_CHUNK else reasons.BAD_TRAILER)
                else:
                    self._cut(reasons.BAD_CHUNK if status == BODY_BAD_CHUNK else reasons.BAD_TRAILER)
                return -1
            if span.size:
                self.body_sent += span.size
                if self._sent_body is not None:
                    self._keep_sent(span)
                self.link.send(span.at, span.size)
            at += used
            left -= used
        self.bytes_in += size - left
        return size - left

    cdef int _upload_kept(self) except -1:
        """Pass on the part of the body that was read before there was a lane, or while the lane was slow."""
        cdef Py_ssize_t used
        if self.client.rx_size:
            used = self._forward(self.client.rx, self.client.rx_size)
            if used < 0:
                return 0
            self.client.consume(used)
        return self._upload_moved()

    cdef int _upload_moved(self) except -1:
        """After request body was passed on: who waits for whom now."""
        cdef bint done = self.request_body.done
        cdef bint full = not done and self.link.has_queue()
        cdef bint invited = not self._expects or self._informational > 0 or self.body_sent > 0
        if full:
            self.client.pause()
        else:
            self.client.resume()
        if not done and not full and invited:
            self._await_body()
        elif self.phase == SENT:
            self._await_answer()
        else:
            self._await_client(0)            # the clock of the answer runs
        return self._settle() if done else 0

    # --- the answer

    cdef int _from_lane(self) except -1:
        cdef Stream link = self.link
        cdef Py_ssize_t got = link.receive()
        cdef size_t kept
        if got == RECEIVED_NOTHING:
            return 0
        if got <= 0:
            return self._lane_ended(got == RECEIVED_EOF)
        if self.phase == UPLOADING:
            self._reusable = False           # bytes after the end of the answer
            return self._settle()
        if self.phase == ANSWERING:
            self._answer_body(self.poller.scratch, got)
        elif link.rx_size == 0:
            self._answer(self.poller.scratch, got)
        else:
            link.keep(self.poller.scratch, got)
            kept = link.rx_size
            if kept < self.site.response.limits.max_head and head_end(link.rx, kept, self._scanned) == 0:
                self._scanned = kept
                return 0
            self._scanned = 0
            self._answer(link.rx, kept)
            if self.phase != SENT or self.link is not link:
                link.consume(link.rx_size)
        return self._settle()

    cdef int _answer(self, const char *data, size_t size) except -1:
        """The response head, and whatever of the body came with it."""
        cdef ResponseHead response = self.site.response
        cdef Py_ssize_t head
        cdef bint kept = data == self.link.rx
        while True:
            head = response.parse(data, size, self._is_head)
            if head < 0:
                fields = {"client": self.policy, "lane": self.served_by, "rule": reason_of(head).label}
                _log.warning("response_refused", extra={"fields": fields})
                return self._lane_failed(
                    reasons.RESPONSE_TOO_LARGE
                    if reason_of(head) in (reasons.HEAD_TOO_LARGE, reasons.TOO_MANY_FIELDS)
                    else reasons.RESPONSE_MALFORMED
                )
            if head == 0:
                if kept:
                    self.link.consume(self.link.rx_size - size)
                else:
                    self.link.keep(data, size)
                return 0
            if response.status == 101:
                return self._switch(data, size, head)
            if response.status >= 500 and self._again(response.status):
                return self._lane_failed(reasons.STATUS_RETRIED)
            if response.status >= 200:
                self._final_head(data, size, head)
                return 0
            if self._informed(data, head) < 0:
                return 0
            data += head
            size -= head
            if size == 0:
                if kept:
                    self.link.consume(self.link.rx_size)
                return 0

    cdef bint _again(self, int status):
        """Whether another backend is asked in place of this answer."""
        return self.site._retries and status in self.site._retry_statuses and self.policy.asks_again(self, status)

    cdef Py_ssize_t _informed(self, const char *data, size_t head) except -2:
        """Pass a 1xx on (not to HTTP/1.0: RFC 9110 section 15.2); -1 when the exchange ended over it."""
        cdef ResponseHead response = self.site.response
        cdef char *out
        self._informational += 1
        if self._informational > MAX_INFORMATIONAL:
            self._lane_failed(reasons.RESPONSE_MALFORMED)
            return -1
        if self._minor:
            out = self.poller.out(response.bound())
            if self.client.send(out, response.write(out, b"", False)) == SENT_LOST:
                self._client_gone()
                return -1
        if self._expects and not self.request_body.done:
            self._await_body()
        return 0

    cdef Py_ssize_t _final_head(self, const char *data, size_t size, Py_ssize_t head) except -2:
        cdef ResponseHead response = self.site.response
        cdef Body body = self.response_body
        cdef bint decode = self._minor == 0 and response.framing == Framing.CHUNKED
        cdef size_t used = 0
        cdef Slice span = Slice(data, 0)
        cdef BodyStatus status
        cdef size_t written
        cdef char *out
        cdef Sent sent
        if self.site.logs:
            self.first_byte = monotonic()
        self._sent_body = None
        self.status = response.status
        # Who answers instead of asking for the body need not read it (RFC 9110 section 10.1.1), and may take it for a
        # request, whose answer nobody else must get. On a lane of the client's own an exchange of legs may go on.
        self._reusable = response.keeps_alive() and (
            self.watch or self._informational > 0 or not (self._expects and self.has_body))
        if self.watch or response.asks_connection_auth:
            self._plain = False
            self.policy.answering(self, response)
        body.start(response.framing, response.length, decode, self.site.response_trailers, response.bare_lf)
        if response.framing == Framing.UNTIL_CLOSE or decode or not (self._reusable or self.request_body.done):
            self.closes = True
        if response.location >= 0:
            response.relocate(self.policy.rewrite_location)
        out = self.poller.out(response.bound() + JOINED)
        written = response.write(out, self._connection_line(), decode)
        self._head = None
        self._enter(ANSWERING)
        data += head
        size -= head
        if size and not body.done:
            status = body.next(data, size, &used, &span)
            if status > BODY_DONE:
                return self._cut(reasons.RESPONSE_BAD_BODY)
        self.bytes_out += written + span.size
        if span.size <= JOINED:
            memcpy(out + written, span.at, span.size)
            sent = self.client.send(out, written + span.size)
        else:
            sent = self.client.send_both(out, written, span.at, span.size)
        if sent == SENT_LOST:
            return self._client_gone()
        return self._answer_body(data + used, size - used)

    cdef const char *_connection_line(self) noexcept:
        if self.closes:
            return b"Connection: close\r\n"
        return b"" if self._minor else b"Connection: keep-alive\r\n"

    cdef int _answer_body(self, const char *data, size_t size) except -1:
        cdef Body body = self.response_body
        cdef BodyStatus status
        cdef size_t used
        cdef Slice span
        while size and not body.done:
            used = 0
            span.size = 0
            status = body.next(data, size, &used, &span)
            if status > BODY_DONE:
                return self._cut(reasons.RESPONSE_BAD_BODY)
            if span.size:
                self.bytes_out += span.size
                if self.client.send(span.at, span.size) == SENT_LOST:
                    return self._client_gone()
            data += used
            size -= used
        if size:
            self._reusable = False           # bytes that nobody asked for: such a lane could answer the next request
        if body.done:
            return 0
        if self.client.has_queue():
            self._await_reader()
        else:
            self.link.deadline = self.poller.now + self.site.response_timeout
        return 0

    cdef int _switch(self, const char *data, size_t size, Py_ssize_t head) except -1:
        """101: from here on both streams belong to a tunnel (RFC 9110 section 15.2.2)."""
        cdef ResponseHead response = self.site.response
        cdef Stream link = self.link
        cdef bytes early
        cdef char *out
        cdef size_t written
        if not self._upgrade or not response.flags.upgrade & 2:
            return self._lane_failed(reasons.RESPONSE_UNASKED)
        out = self.poller.out(response.bound())
        written = response.write(out, b"", False)
        self.status = 101
        if self.site.logs:
            self.first_byte = monotonic()
        if self.watch or response.asks_connection_auth:
            self.policy.answering(self, response)
        early = data[head:size]
        if self.client.send(out, written) == SENT_LOST:
            return self._client_gone()
        # Without what requests before this one moved: `tunnel_closed` adds all of it (both wrap around until then).
        self.bytes_in -= self.client.received - self.client.rx_size
        self.bytes_out += written - (self.client.sent + self.client._tx_size)
        self._enter(ENDED)
        self.link = None
        self._head = self.authorization = None
        self.policy.tunnel_opened(self, link, early)
        return 0

    cdef int _settle(self) except -1:
        """When the answer is complete: the next request, or the rest of this one first."""
        if self.phase == ANSWERING and self.response_body.done:
            self._enter(UPLOADING)
        if self.phase != UPLOADING:
            return 0
        if self.request_body.done or not self._reusable:
            return self._finish(reasons.DONE)
        self.link.deadline = self.poller.now + self.site.response_timeout
        return 0

    cdef int _finish(self, object reason) except -1:
        cdef Stream link = self.link
        cdef Stream client = self.client
        cdef bint whole = self.request_body.done
        self.link = None
        self._head = None
        self._enter(IDLE)
        # A backend that answered without reading it all might never do so.
        self._over(link, self._reusable and whole and not link.has_queue(), reason)
        if self.closes or not whole:
            self._enter(ENDED)
            self.policy.hang_up(self, not whole or client.rx_size > 0)
            return 0
        if client.rx_size and not client.has_queue():
            self.poller.loop.call_soon(self.next_request)
        if client.rx_size < KEPT_LIMIT:
            client.resume()
        return 0

    # --- endings

    def refuse(self, object reason not None):
        """Answer with lbproxy's own page, instead of an answer that has not begun."""
        cdef Stream link = self.link
        cdef bytes answer
        cdef bint keep = self._head is not None or reason.status in (404, 421)
        keep = keep and not self.closes and self.request_body.done
        self.link = None
        self._head = None
        self._scanned = 0
        self.status = reason.status
        self._enter(IDLE)
        self.closes = not keep
        answer = self.policy.refusal(self, reason, keep)
        self.bytes_out += len(answer)
        self.client.send(answer, len(answer))
        self._over(link, False, reason)
        if keep and not self.closes:
            self.client.resume()
            self.poller.loop.call_soon(self.next_request)
        else:
            self._enter(ENDED)
            self.policy.hang_up(self, True)

    cdef int _over(self, Stream link, bint reusable, object reason) except -1:
        """The request is over; its policy is told once."""
        self.ended = monotonic()
        self.authorization = None            # a ticket takes up to 64 KB, and the client may be idle for long
        if self.status == 0:
            self.status = reason.status      # for the log: the client got none
        self.site.observe(self.ended - self.started)
        if self._plain and reusable and reason is _DONE and self.status < 400 and self.lane.backend.placed:
            self._end_plain()
        else:
            self.policy.finished(self, link, reusable, reason)
        self.served_by = None
        self.tries = 0                       # the next request may be refused at once
        return 0

    cdef int _end_plain(self) except -1:
        """A request was sent without asking the policy, and ended well: nor has that to hear of it."""
        cdef LaneCore lane = self.lane
        cdef BackendCore backend = lane.backend
        self.lane = None
        backend.active -= 1
        backend.requests += 1
        backend.errors_in_row = 0
        backend.count_response(self.status)
        self.site.plain += 1
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
        """What the access log tells of a request that has ended; strings are latin-1, times milliseconds, -1: not reached.

        (method, target, host, protocol, status, bytes in, bytes out, user agent, until sent, until answered, in all)
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
        )

    @property
    def idle_for(self):
        """Seconds since the last answer, while there is no request."""
        if self.phase != IDLE or self.client.rx_size or self.client.has_queue():
            return 0.0
        return self.site.idle_timeout - (self.client.deadline - self.poller.now)

    def drain(self):
        """End an idle client connection now, a busy one with its answer; one that is new may ask once, soon."""
        self.closes = True
        if self.phase != IDLE or self.client.rx_size or self.client.has_queue():
            return
        if self.started == 0:
            self.client.deadline = self.poller.now + FIRST_WORD
        elif self.client.is_quiet():
            self._enter(ENDED)
            self.policy.ended(self, reasons.DRAINED)

    def stop(self, object reason not None):
        """End now, whatever is going on."""
        if self.phase == IDLE:
            self._enter(ENDED)
            self.policy.ended(self, reason)
        elif self.phase != ENDED:
            self._cut(reason)

    cdef int _lane_ended(self, bint clean) except -1:
        """The backend closed the lane (cleanly, or with an error)."""
        if self.phase == SENT:
            if self.link.rx_size or self._informational:
                return self._lane_failed(reasons.RESPONSE_CUT_HEAD)
            return self._lane_failed(reasons.LANE_LOST if self._fresh else reasons.LANE_STALE)
        if self.phase == ANSWERING:
            if not clean or self.response_body.framing != Framing.UNTIL_CLOSE:
                return self._cut(reasons.RESPONSE_CUT_BODY)
            self._enter(UPLOADING)
        self._reusable = False
        return self._settle()

    cdef int _lane_failed(self, object reason) except -1:
        cdef Stream link = self.link
        self.link = None
        self._plain = False
        self._enter(WAITING)
        self.policy.lane_failed(self, link, reason)
        return 0

    cdef int _cut(self, object reason) except -1:
        """End visibly in the middle: a reset, so that nobody takes what he got for the whole."""
        cdef Stream link = self.link
        cdef bint busy = self.phase != IDLE
        self.link = None
        self._enter(ENDED)
        self.client.abort()
        if busy:
            self._over(link, False, reason)
        self.policy.ended(self, None if busy else reason)
        return 0

    cdef int _client_gone(self) except -1:
        """The end of what a client sends is taken for its going away, as browsers mean it; no half-closed clients."""
        if self.phase == IDLE:
            self._enter(ENDED)
            self.policy.ended(self, reasons.CLIENT_GONE if self.client.rx_size else reasons.CLIENT_CLOSED)
            return 0
        return self._cut(reasons.CLIENT_GONE)
