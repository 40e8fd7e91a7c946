# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""What lanes do that needs no decision: they are connected, taken for a request, given back after it, and closed."""

from libc.math cimport INFINITY

from lbproxy.net.transport.poller cimport monotonic
from lbproxy.net.transport.stream cimport Stream


cdef class LanesCore:

    def __cinit__(self, *_, **__):
        self.idle = []
        self.ends = {}

    cdef int ended(self, LaneCore lane, object reason) except -1:
        """A lane was closed; reason None: its request gave it."""
        if lane.owner is not None:
            self.private -= 1
        if lane.tunnel:
            self.tunnels -= 1
        if reason is not None:
            self.ends[reason.label] = self.ends.get(reason.label, 0) + 1
        while self.idle and (<LaneCore>self.idle[0]).closed:     # the longest idle end first
            del self.idle[0]
        return 0


cdef class LaneCore(Handler):

    def __init__(self, LanesCore lanes not None, BackendCore backend not None, waiter, Stream stream not None, bytes header not None=b""):
        """stream: its own, whose connect was begun; header: what is sent first, before TLS begins."""
        self.lanes = lanes
        self.backend = backend
        self.waiter = waiter
        self.stream = stream
        self._header = header
        self.opened_at = monotonic()

    @property
    def private(self):
        """Whether it belongs to one client connection."""
        return self.owner is not None

    cpdef claim(self, owner):
        """Make it private, for good."""
        if self.owner is None:
            self.owner = owner
            self.lanes.private += 1

    cpdef bint begin(self, int tries):
        """A request goes out on it, after so many tries on other ones: whether it is the first on this lane."""
        self.served += 1
        if tries > 0:
            (<object>self.backend).retried_to += 1
        return self.served == 1

    def join(self):
        """From here on it is one half of a tunnel, to its end."""
        self.tunnel = True
        self.lanes.tunnels += 1

    cpdef connected(self, Stream stream):
        self.connected_at = monotonic()
        if self._header:
            try:
                stream.write(self._header)   # a new connection's buffer has room for it
            except OSError as error:
                self.lost(stream, error)
                return
        stream.start()
        if stream.tls is None:
            self.ready_at = self.connected_at
            self.is_ready()

    cpdef is_ready(self):
        """It is connected, and secured where its backend speaks TLS: the waiter goes on with it."""
        waiter = self.waiter
        assert waiter is not None
        self.waiter = None
        self.stream.deadline = 0
        try:
            waiter.lane_ready(self)
        except Exception as error:
            waiter.broken(error)

    cpdef close(self, reason):
        """End it and count the reason. None: the lane ends with its request, and the end of that is counted."""
        if self.closed:
            return
        self.closed = True
        self.waiter = None
        self.closing()
        self.stream.close()
        self.count_moved()
        self.lanes.ended(self, reason)

    cpdef closing(self):
        """Called before the stream is closed."""

    cpdef rest(self):
        """No request is on it: watch for its end; any request may take a shared one until the idle timeout.

        A private one stays idle for as long as its owner stays.
        """
        self.count_moved()
        if self.owner is None:
            self.stream.watch(self, self.lanes.idle_timeout)
            self.lanes.idle.append(self)
        else:
            self.stream.watch(self, INFINITY)

    cdef void count_moved(self) noexcept:
        cdef Stream stream = self.stream
        self.backend.bytes_to += stream.sent - self._counted_to
        self.backend.bytes_from += stream.received - self._counted_from
        self._counted_to = stream.sent
        self._counted_from = stream.received

    def count_bytes(self):
        """Let its backend's counters have what has moved since it rested last."""
        self.count_moved()


cdef LaneCore next_idle_lane(RoundRobin round_robin):
    """The idle lane that the next backend used last; the backend's turn is taken.

    None, and nothing is changed, if the policy must choose the backend, or open or drop a lane.
    """
    cdef BackendCore backend
    cdef LaneCore lane
    cdef list idle
    if round_robin is None or round_robin.weighted or (backend := round_robin.head()) is None or backend.only_passes:
        return None
    idle = (<LanesCore?>backend.lanes).idle
    if not idle:
        return None
    lane = <LaneCore>idle[len(idle) - 1]
    if lane.closed or not lane.stream.is_quiet():    # it has not ended, and holds no unexpected bytes
        return None
    idle.pop()
    round_robin.take_turn()
    return lane
