# cython: language_level=3
"""The HTTP/1 front of a client connection: the fields."""

from libc.stdint cimport uint64_t

from lbproxy.net.http.relay cimport Relay
from lbproxy.net.transport.stream cimport Stream
from lbproxy.net.upstream.shared cimport LaneCore
from lbproxy.wire.request_heads cimport Forwarding
from lbproxy.wire.slices cimport Slice


cdef class Exchange(Relay):
    cdef:
        Forwarding _forwarding
        bytes _address
        Slice _client_address       # the same
        str _server_name            # of the TLS connection; None: the client named none, or it is plain
        bytes _directed             # the Host that was looked at last, and found good
        bint _trusted
        int _minor                  # of the client's HTTP/1.minor
        public int tries            # backends that were asked, or could not be
        public bint fast_path       # nothing is to be decided for requests without credentials: the next backend, shared
        readonly uint64_t requests  # that were accepted on this connection
        readonly bytes method
        readonly bytes target
        readonly bytes host
        readonly bytes user_agent
        readonly bytes authorization
        readonly size_t head_size
        readonly double started     # seconds, CLOCK_MONOTONIC; 0: not reached
        readonly double ended
        readonly bint idempotent    # it has an Idempotency-Key
        int _from_client(self) except -1
        int _begin_kept(self) except -1
        int _begin(self, const char *data, size_t size, bint kept) except -1
        int _reset(self) except -1
        bint _is_directed(self)
        LaneCore _decided_lane(self)
        bint _take_fast_path(self) except -1
        int _accept(self, const char *data, size_t size, Py_ssize_t head, bint kept) except -1
        const char *_connection_line(self) noexcept
        str _protocol(self)
        int _end_fast_path(self) except -1
        int _over(self, Stream link, bint reusable, object reason) except -1
