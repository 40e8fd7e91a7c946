# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""One request on one lane: its head and body go to the backend, and the answer comes back.

A relay knows lanes, bodies, phases and deadlines. It does not know how the client's side is spoken: that is the front's
(`net.http.exchange` for HTTP/1), a subclass, so that a client connection is one object and a call between the two costs
nothing. The front calls `run`, `forward`, `upload_kept`, `client_drained`, `from_lane` and `lane_expired`. The relay
calls:

    inform(response)                        a 1xx head came
    begin_answer(response, decode, first)   the final head (or a 101), and the first piece of the body
    turn_down(reason)                       the request is at fault, and no answer has begun
    finish(reason)                          request and answer have ended; the lane may be used again if `_reusable`
    cut(reason)                             the exchange cannot go on, and a part of the answer was sent
    client_gone()                           the client cannot be written to any more

The answer's body goes to the client's stream directly. Every phase has a deadline on one of the streams (`enter`).
"""

import logging

from lbproxy import reasons

from lbproxy.balance.latency cimport Latency
from lbproxy.net.http.phases cimport ANSWERING, ENDED, IDLE, SENT, UPLOADING, WAITING, Phase, may_follow, phase_name
from lbproxy.net.http.request_ids cimport RequestIds
from lbproxy.net.http.site cimport Site
from lbproxy.net.transport.poller cimport Handler, monotonic, Poller
from lbproxy.net.transport.stream cimport RECEIVED_EOF, RECEIVED_NOTHING, SENT_LOST, Sent, Stream, queued
from lbproxy.net.upstream.shared cimport LaneCore
from lbproxy.wire.bodies cimport BODY_BAD_CHUNK, BODY_DONE, BODY_MORE, Body, BodyStatus
from lbproxy.wire.heads cimport Framing, head_end, reason_of
from lbproxy.wire.response_heads cimport ResponseHead
from lbproxy.wire.slices cimport Slice

cdef enum:
    MAX_INFORMATIONAL = 16       # 1xx answers of one backend to one request

cdef object _log = logging.getLogger(__name__)
cdef Body NOTHING = Body()
NOTHING.start(Framing.NO_BODY, 0, False, None, False)


cdef class Relay(Handler):

    def __cinit__(self, Site site not None, Stream client not None, policy, *_, **__):
        """client: its stream, already open; policy: see `net.http.exchange`. The rest is the front's."""
        self.site = site
        self.poller = client.poller
        self.client = client
        self.policy = policy
        self.request_body = NOTHING
        self.response_body = Body()

    # --- what the front does

    cdef Sent inform(self, ResponseHead response) except? SENT_LOST:
        raise NotImplementedError

    cdef Sent begin_answer(self, ResponseHead response, bint decode, Slice first) except? SENT_LOST:
        raise NotImplementedError

    cdef int turn_down(self, object reason) except -1:
        raise NotImplementedError

    cdef int finish(self, object reason) except -1:
        raise NotImplementedError

    cdef int cut(self, object reason) except -1:
        raise NotImplementedError

    cdef int client_gone(self) except -1:
        raise NotImplementedError

    cdef int begin_body(self, Framing framing, uint64_t length) except -1:
        """The request's."""
        if framing == Framing.NO_BODY:
            self.request_body = NOTHING
        else:
            if self.request_body is NOTHING:
                self.request_body = Body()
            self.request_body.start(framing, length, False, self.site.request_trailers, False)
        self.has_body = not self.request_body.done
        return 0

    # --- what it waits for, and how long

    cdef int enter(self, Phase phase) except -1:
        """Go on to another phase: each begins with the deadline of the side that it waits for.

        Within a phase `await_answer`, `await_body` and `_await_reader` change the side that is waited for.
        """
        if not may_follow(self.phase, phase):
            raise RuntimeError(f"{self!r}: {phase_name(phase)} is out of order")
        self.phase = phase
        if phase == IDLE:
            self.await_client(self.site.idle_timeout)
        elif phase == WAITING:
            self.await_client(0)            # the lane that the policy asks for has its connect_timeout
        elif phase == SENT:
            self.await_answer()
        elif phase != ENDED:
            self.link.deadline = self.poller.now + self.site.response_timeout
        return 0

    cdef int await_client(self, double seconds) except -1:
        """For its request or its body (0: for nothing), unless it has an answer to read: then that one's clock runs."""
        if not queued(self.client):
            self.client.deadline = self.poller.now + seconds if seconds else 0
        return 0

    cdef int await_answer(self) except -1:
        """Wait for the backend; after `slow_after` seconds the policy is called, before the time is up."""
        cdef double slow_after = 0 if self._told_slow else self.site.slow_after
        self.await_client(0)
        self.link.deadline = self.poller.now + (slow_after if slow_after else self.site.response_timeout)
        return 0

    cdef int await_body(self) except -1:
        """Wait for the client's body; the deadline of an answer that has begun stays."""
        self.await_client(self.site.idle_timeout)
        if self.phase == SENT:
            self.link.deadline = 0
        return 0

    cdef int _await_reader(self) except -1:
        """Wait for the client to read what is queued: each byte that it takes renews its deadline."""
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

    # --- the request

    def run(self, Stream link not None, bint fresh):
        """Send the request on a lane. fresh: no request was sent on it before."""
        self.run_on(link, fresh)

    cdef int run_on(self, Stream link, bint fresh) except -1:
        cdef const char *head = self._head
        cdef const char *body
        if link.closed:
            raise RuntimeError(f"{self!r}: {link!r} cannot take a request")
        self.link = link
        link.handler = self
        link.patience = 0
        self._told_slow = False
        self._informational = 0
        self._fresh = fresh
        self._scanned = 0
        self.enter(SENT)
        self.sent = self._asked = monotonic()
        link.send(head, len(self._head))     # a loss shows when the lane is read
        if self._sent_body:
            body = self._sent_body
            link.send(body, len(self._sent_body))
        if not self.request_body.done:
            self.upload_kept()
        return 0

    cdef bint _is_to_be_shown(self, ResponseHead response):
        """Whether the policy has to see a response head: of a lane that another one replaces soon, too."""
        if self.watch or response.asks_connection_auth:
            return True
        return self._on_fast_path and self.lane.owner is not None and not self.lane.backend.placed

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

    cdef Py_ssize_t forward(self, const char *data, size_t size) except -2:
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
                    self.turn_down(reasons.BAD_CHUNK if status == BODY_BAD_CHUNK else reasons.BAD_TRAILER)
                else:
                    self.cut(reasons.BAD_CHUNK if status == BODY_BAD_CHUNK else reasons.BAD_TRAILER)
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

    cdef int upload_kept(self) except -1:
        """Pass on the part of the body that was read before there was a lane, or while the lane was slow."""
        cdef Py_ssize_t used
        if self.client.rx_size:
            used = self.forward(self.client.rx, self.client.rx_size)
            if used < 0:
                return 0
            self.client.consume(used)
        return self.upload_moved()

    cdef int upload_moved(self) except -1:
        """After request body was passed on: decide which side is waited for now."""
        cdef bint done = self.request_body.done
        cdef bint full = not done and queued(self.link)
        cdef bint invited = not self._expects or self._informational > 0 or self.body_sent > 0
        if full:
            self.client.pause()
        else:
            self.client.resume()
        if not done and not full and invited:
            self.await_body()
        elif self.phase == SENT:
            self.await_answer()
        else:
            self.await_client(0)            # the clock of the answer runs
        if not done:
            return 0
        self._asked = monotonic()
        return self._settle()

    cdef int client_drained(self) except -1:
        """The client has read what was queued: the answer may go on, and it may be waited for again."""
        if self.phase == ANSWERING:
            self.link.deadline = self.poller.now + self.site.response_timeout
            self.link.resume()
        if SENT <= self.phase <= UPLOADING and self.client.reading and not self.request_body.done:
            self.await_client(self.site.idle_timeout)
        return 0

    # --- the answer

    cdef int from_lane(self) except -1:
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
            if self._informed() < 0:
                return 0
            data += head
            size -= head
            if size == 0:
                if kept:
                    self.link.consume(self.link.rx_size)
                return 0

    cdef void _answered(self) noexcept:
        """The final head is there. What a client takes to upload is no time of the backend."""
        self.first_byte = monotonic()
        if self.lane is not None:
            self._waited(self.first_byte)

    cdef int _waited(self, double now) except -1:
        """The lane's backend has answered, now."""
        cdef Latency latency = self.lane.backend.latency
        cdef double seconds = now - self._asked
        cdef int slot = latency.observe(seconds)
        if self.ids is not None and (latency.due[slot] <= now or self.ids.recorded):
            self.ids.exemplify(latency, slot, now, seconds)
        return 0

    cdef bint _again(self, int status):
        """Whether another backend is asked in place of this answer; if so, this backend has answered all the same."""
        if not self.site.retries or status not in self.site.retry_statuses or not self.policy.asks_again(self, status):
            return False
        if self.lane is not None:
            self._waited(monotonic())
        return True

    cdef Py_ssize_t _informed(self) except -2:
        """Pass a 1xx on; -1 when the exchange ended over it."""
        self._informational += 1
        if self._informational > MAX_INFORMATIONAL:
            self._lane_failed(reasons.RESPONSE_MALFORMED)
            return -1
        if self.inform(self.site.response) == SENT_LOST:
            self.client_gone()
            return -1
        if self._expects and not self.request_body.done:
            self.await_body()
        return 0

    cdef Py_ssize_t _final_head(self, const char *data, size_t size, Py_ssize_t head) except -2:
        cdef ResponseHead response = self.site.response
        cdef Body body = self.response_body
        cdef bint decode = not self._takes_chunks and response.framing == Framing.CHUNKED
        cdef size_t used = 0
        cdef Slice first = Slice(data, 0)
        self._answered()
        self._sent_body = None
        self.status = response.status
        # A backend that answers without asking for the body need not read it (RFC 9110 section 10.1.1), and may take it
        # for a request, whose answer no other client must get. On a private lane an exchange of legs may go on.
        self._reusable = response.keeps_alive() and (
            self.watch or self._informational > 0 or not (self._expects and self.has_body))
        if self._is_to_be_shown(response):
            self._on_fast_path = False
            self.policy.answering(self, response)
        body.start(response.framing, response.length, decode, self.site.response_trailers, response.bare_lf)
        if response.framing == Framing.UNTIL_CLOSE or decode or not (self._reusable or self.request_body.done):
            self.closes = True
        self._head = None
        self.enter(ANSWERING)
        data += head
        size -= head
        if size and not body.done and body.next(data, size, &used, &first) > BODY_DONE:
            return self.cut(reasons.RESPONSE_BAD_BODY)
        if self.begin_answer(response, decode, first) == SENT_LOST:
            return self.client_gone()
        return self._answer_body(data + used, size - used)

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
                return self.cut(reasons.RESPONSE_BAD_BODY)
            if span.size:
                self.bytes_out += span.size
                if self.client.send(span.at, span.size) == SENT_LOST:
                    return self.client_gone()
            data += used
            size -= used
        if size:
            self._reusable = False           # unexpected bytes: such a lane could answer the next request
        if body.done:
            return 0
        if queued(self.client):
            self._await_reader()
        else:
            self.link.deadline = self.poller.now + self.site.response_timeout
        return 0

    cdef int _switch(self, const char *data, size_t size, Py_ssize_t head) except -1:
        """101: from here on both streams belong to a tunnel (RFC 9110 section 15.2.2)."""
        cdef ResponseHead response = self.site.response
        cdef Stream link = self.link
        cdef bytes early
        if not self._upgrade or not response.flags.upgrade & 2:
            return self._lane_failed(reasons.RESPONSE_UNASKED)
        self.status = 101
        self._answered()
        if self.watch or response.asks_connection_auth:
            self.policy.answering(self, response)
        early = data[head:size]
        if self.begin_answer(response, False, Slice(data, 0)) == SENT_LOST:
            return self.client_gone()
        # Without what requests before this one moved: `tunnel_closed` adds all of it (both wrap around until then).
        self.bytes_in -= self.client.received - self.client.rx_size
        self.bytes_out -= self.client.sent + self.client._queue.size
        self.enter(ENDED)
        self.link = None
        self._head = None
        self.policy.tunnel_opened(self, link, early)
        return 0

    cdef int _settle(self) except -1:
        """When the answer is complete: the next request, or the rest of this one first."""
        if self.phase == ANSWERING and self.response_body.done:
            self.enter(UPLOADING)
        if self.phase != UPLOADING:
            return 0
        if self.request_body.done or not self._reusable:
            return self.finish(reasons.DONE)
        self.link.deadline = self.poller.now + self.site.response_timeout
        return 0

    # --- endings of the lane

    cdef int lane_expired(self) except -1:
        """The lane's deadline passed: of its answer, or of the rest of a request that has one."""
        if self.phase == SENT and not self._told_slow and self.site.slow_after:
            self._told_slow = True
            self.link.deadline = self.poller.now + self.site.response_timeout - self.site.slow_after
            self.policy.slow(self)
        elif self.phase == SENT:
            self._lane_failed(reasons.RESPONSE_TIMEOUT)
        elif self.phase == ANSWERING:
            self.cut(reasons.RESPONSE_STALLED)
        else:
            self.closes = True
            self.finish(reasons.DONE)
        return 0

    cdef int _lane_ended(self, bint clean) except -1:
        """The backend closed the lane (cleanly, or with an error)."""
        if self.phase == SENT:
            if self.link.rx_size or self._informational:
                return self._lane_failed(reasons.RESPONSE_CUT_HEAD)
            return self._lane_failed(reasons.LANE_LOST if self._fresh else reasons.LANE_STALE)
        if self.phase == ANSWERING:
            if not clean or self.response_body.framing != Framing.UNTIL_CLOSE:
                return self.cut(reasons.RESPONSE_CUT_BODY)
            self.enter(UPLOADING)
        self._reusable = False
        return self._settle()

    cdef int _lane_failed(self, object reason) except -1:
        cdef Stream link = self.link
        self.link = None
        self._on_fast_path = False
        self.enter(WAITING)
        self.policy.lane_failed(self, link, reason)
        return 0
