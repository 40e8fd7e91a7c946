# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Shared lanes: taken for a request, and given back after it."""

from libc.math cimport INFINITY


cdef class LanesCore:

    def __cinit__(self):
        self.idle = []


cdef class LaneCore(Handler):

    cpdef rest(self):
        """No request is on it: watch for its end; a shared one may be taken by anybody until the idle timeout.

        A private one rests for as long as its owner stays.
        """
        if self.owner is None:
            self.stream.watch(self, self.lanes.idle_timeout)
            self.lanes.idle.append(self)
        else:
            self.stream.watch(self, INFINITY)


cdef LaneCore next_idle_lane(RoundRobin round_robin):
    """The lane that the next backend served on last, and its turn with it.

    None, and nothing is changed, when the policy has to say who is next, or whether to open a lane or to drop one.
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
    if lane.closed or not lane.stream.is_quiet():    # one more look: it has not ended, and holds nothing nobody asked for
        return None
    idle.pop()
    round_robin.take_turn()
    return lane
