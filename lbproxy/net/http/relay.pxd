# cython: language_level=3
"""One request on one lane: the fields, what a front calls, and what it has to do."""

from libc.stdint cimport uint64_t

from lbproxy.net.http.phases cimport Phase
from lbproxy.net.http.request_ids cimport RequestIds
from lbproxy.net.http.site cimport Site
from lbproxy.net.transport.poller cimport Handler, Poller
from lbproxy.net.transport.stream cimport SENT_LOST, Sent, Stream
from lbproxy.net.upstream.shared cimport LaneCore
from lbproxy.wire.bodies cimport Body
from lbproxy.wire.heads cimport Framing
from lbproxy.wire.response_heads cimport ResponseHead
from lbproxy.wire.slices cimport Slice


cdef Body NOTHING                   # of all requests without a body; it never changes


cdef class Relay(Handler):
    cdef:
        Site site
        Poller poller
        public object policy        # another one when the client connection is over
        readonly RequestIds ids     # of the current request; None: requests are not named
        readonly Stream client
        readonly Stream link        # the lane's stream while the exchange holds one
        readonly Phase phase
        readonly bint has_body
        Body request_body
        Body response_body
        bytes _head                 # the request head as the backend gets it; kept until the answer begins
        size_t _scanned             # bytes of an incomplete head that were looked at
        int _informational
        bint _is_head
        bint _upgrade
        bint _expects               # the client waits for a 100 before it sends its body
        bint _takes_chunks          # else the client gets the data of chunks, and a close
        bint _fresh
        bint _reusable
        bint _told_slow
        bint _on_fast_path          # the request was sent without asking the policy, and nothing has happened since
        public LaneCore lane        # that the current request has, or waits for
        public LaneCore served_by   # the last one that it was sent on
        public bint follows         # the client may be bound to a lane: ask `policy.following`
        public bint watch           # show the policy each response head, not only challenges
        public bint closes          # the client connection ends with this answer
        readonly int status
        readonly uint64_t bytes_in
        readonly uint64_t bytes_out
        readonly uint64_t body_sent # bytes of the request body that went to the lane
        readonly double sent        # seconds, CLOCK_MONOTONIC; 0: not reached
        readonly double first_byte
        double _asked               # when the backend had the whole request; until then, when it got the first of it
        size_t _keeps               # how many bytes of the body may be kept
        bytearray _sent_body        # what was sent of it; None: not kept, or too much
        # for the front
        int begin_body(self, Framing framing, uint64_t length) except -1
        int enter(self, Phase phase) except -1
        int await_client(self, double seconds) except -1
        int run_on(self, Stream link, bint fresh) except -1
        Py_ssize_t forward(self, const char *data, size_t size) except -2
        int upload_kept(self) except -1
        int upload_moved(self) except -1
        int client_drained(self) except -1
        int from_lane(self) except -1
        int lane_expired(self) except -1
        # by the front
        Sent inform(self, ResponseHead response) except? SENT_LOST
        Sent begin_answer(self, ResponseHead response, bint decode, Slice first) except? SENT_LOST
        int turn_down(self, object reason) except -1
        int finish(self, object reason) except -1
        int cut(self, object reason) except -1
        int client_gone(self) except -1
        # its own
        int await_answer(self) except -1
        void _answered(self) noexcept
        int _waited(self, double now) except -1
        int await_body(self) except -1
        int _await_reader(self) except -1
        int _keep_sent(self, Slice span) except -1
        int _answer(self, const char *data, size_t size) except -1
        bint _is_to_be_shown(self, ResponseHead response)
        bint _again(self, int status)
        Py_ssize_t _informed(self) except -2
        Py_ssize_t _final_head(self, const char *data, size_t size, Py_ssize_t head) except -2
        int _answer_body(self, const char *data, size_t size) except -1
        int _switch(self, const char *data, size_t size, Py_ssize_t head) except -1
        int _settle(self) except -1
        int _lane_ended(self, bint clean) except -1
        int _lane_failed(self, object reason) except -1
