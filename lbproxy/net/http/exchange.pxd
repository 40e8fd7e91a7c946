# cython: language_level=3
"""One request and its answer: the states and the fields."""

from libc.stdint cimport uint64_t

from lbproxy.balance.round_robin cimport RoundRobin
from lbproxy.net.upstream.shared cimport LaneCore
from lbproxy.net.transport.stream cimport Handler, Poller, Stream
from lbproxy.wire.bodies cimport Body
from lbproxy.wire.fields cimport FieldTable
from lbproxy.wire.request_heads cimport Forwarding, RequestHead
from lbproxy.wire.response_heads cimport ResponseHead
from lbproxy.wire.slices cimport Slice


cpdef enum Phase:
    """What an exchange waits for."""

    IDLE = 0         # a request head
    WAITING = 1      # a lane; the policy will call `run` or `refuse`
    SENT = 2         # the response head; the request body may still flow
    ANSWERING = 3    # the rest of the response; the request body may still flow
    UPLOADING = 4    # the rest of the request; the response is complete
    ENDED = 5        # nothing: the client connection is closed, closing, or a tunnel


cdef enum:
    BUCKETS = 14


cdef class Site:
    """What a listener serves, shared by its exchanges."""
    cdef:
        RequestHead request         # scratch: good only while one head is dealt with
        ResponseHead response
        FieldTable request_trailers
        FieldTable response_trailers
        Forwarding forwarding
        set _hosts                  # Host values that were accepted as they are spelled
        object _host_served
        tuple _denied_paths
        object _path_denied
        readonly double header_timeout
        readonly double idle_timeout
        readonly double response_timeout
        readonly bint logs
        double _suspicion           # seconds without an answer until the policy is told; 0: never
        bint _retries
        frozenset _retry_statuses
        RoundRobin _turns
        readonly uint64_t plain     # requests that ended well, and of which the policy heard nothing
        public bint draining        # every answer is a client connection's last
        readonly uint64_t requests
        readonly double seconds
        uint64_t _buckets[BUCKETS]
        bint serves_host(self, bytes host)
        bint denies_path(self)
        void observe(self, double seconds) noexcept


cdef class Exchange(Handler):
    cdef:
        Site site
        Poller poller
        object policy
        readonly Stream client
        readonly Stream link        # the lane's stream while the exchange holds one
        readonly Phase phase
        Body request_body
        Body response_body
        Forwarding _forwarding
        bytes _address
        Slice _client_address       # the same
        str _server_name            # of the TLS connection; None: the client named none, or it is plain
        bytes _directed             # the Host that was looked at last, and found good
        bytes _head                 # the request head as the backend gets it; kept until the answer begins
        size_t _scanned
        int _informational
        bint _trusted
        bint _is_head
        bint _upgrade
        bint _expects               # the client waits for a 100 before it sends its body
        bint _fresh
        int _minor                  # of the client's HTTP/1.minor
        bint _reusable
        bint _suspected
        bint _plain                 # the request was sent without asking the policy, and nothing has happened since
        public bint asks_nobody     # nothing is to be decided for requests without credentials: the next backend, shared
        public LaneCore lane        # that the current request has, or waits for
        public LaneCore served_by   # the last one that it was sent on
        public int tries            # backends that were asked, or could not be
        public bint watch           # tell the policy of each response head, not only of challenges
        public bint closes          # the client connection ends with this answer
        readonly bytes method
        readonly bytes target
        readonly bytes host
        readonly bytes user_agent
        readonly bytes authorization
        readonly int status
        readonly size_t head_size
        readonly uint64_t bytes_in
        readonly uint64_t bytes_out
        readonly uint64_t body_sent # bytes of the request body that went to the lane
        readonly double started     # seconds, CLOCK_MONOTONIC; 0: not reached
        readonly double sent        # this and the next one: only for the access log
        readonly double first_byte
        readonly double ended
        readonly bint has_body
        readonly bint idempotent    # it has an Idempotency-Key
        size_t _keeps               # how many bytes of the body may be kept
        bytearray _sent_body        # what was sent of it; None: not kept, or too much
        int _from_client(self) except -1
        int _begin_kept(self) except -1
        int _begin(self, const char *data, size_t size, bint kept) except -1
        int _reset(self) except -1
        bint _is_directed(self)
        bint _is_plain(self)
        bint _take_turn(self) except -1
        int _run(self, Stream link, bint fresh) except -1
        int _accept(self, const char *data, size_t size, Py_ssize_t head, bint kept) except -1
        int _keep_sent(self, Slice span) except -1
        Py_ssize_t _forward(self, const char *data, size_t size) except -2
        int _upload_kept(self) except -1
        int _upload_moved(self) except -1
        int _enter(self, Phase phase) except -1
        int _await_client(self, double seconds) except -1
        int _await_answer(self) except -1
        int _await_body(self) except -1
        int _await_reader(self) except -1
        int _from_lane(self) except -1
        int _answer(self, const char *data, size_t size) except -1
        bint _again(self, int status)
        Py_ssize_t _informed(self, const char *data, size_t size) except -2
        Py_ssize_t _final_head(self, const char *data, size_t size, Py_ssize_t head) except -2
        const char *_connection_line(self) noexcept
        str _protocol(self)
        int _answer_body(self, const char *data, size_t size) except -1
        int _switch(self, const char *data, size_t size, Py_ssize_t head) except -1
        int _settle(self) except -1
        int _finish(self, object reason) except -1
        int _lane_ended(self, bint clean) except -1
        int _lane_failed(self, object reason) except -1
        int _cut(self, object reason) except -1
        int _client_gone(self) except -1
        int _end_plain(self) except -1
        int _over(self, Stream link, bint reusable, object reason) except -1
