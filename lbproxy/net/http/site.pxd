# cython: language_level=3
"""What a listener serves: the fields, and what is asked for each request."""

from libc.stdint cimport uint64_t

from lbproxy.balance.round_robin cimport RoundRobin
from lbproxy.net.http.request_ids cimport IdSource
from lbproxy.wire.fields cimport FieldTable
from lbproxy.wire.request_heads cimport Forwarding, RequestHead
from lbproxy.wire.response_heads cimport ResponseHead
from lbproxy.wire.slices cimport Slice


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
        bytes _last_host            # the one that was served last, and the name on TLS that it was asked with
        str _last_name
        object _host_served
        tuple _denied_paths
        object _path_denied
        readonly double header_timeout
        readonly double idle_timeout
        readonly double response_timeout
        readonly bint logs
        IdSource ids                # None: requests are not named
        double slow_after           # seconds without an answer until the policy is called; 0: never
        bint retries
        frozenset retry_statuses
        RoundRobin round_robin
        readonly uint64_t on_fast_path   # requests that ended well without a call of the policy
        public bint draining        # every answer is a client connection's last
        readonly uint64_t requests
        readonly double seconds
        uint64_t _buckets[BUCKETS]
        bytes host_of(self, Slice named)
        bint serves(self, bytes host, str name)
        bint denies_path(self)
        void observe(self, double seconds) noexcept
