# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Shared lanes: taken for a request, and given back after it."""

from libc.math cimport INFINITY

from lbproxy.net.transport.stream cimport Stream


cdef class LanesCore:

    def __cinit__(self):
        self.idle = []


cdef class LaneCore(Handler):

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
