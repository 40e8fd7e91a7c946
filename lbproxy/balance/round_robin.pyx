# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The typed parts of `Backend` and `Rotation`: what a request costs that needs no decision."""

from lbproxy.balance.latency cimport Latency


cdef class BackendCore:

    def __cinit__(self, *_, **__):
        self.latency = Latency()

    @property
    def responses(self):
        """How many answers there were, by status // 100."""
        return [self._responses[i] for i in range(6)]

    cpdef count_response(self, int status):
        """An answer with `status`, from 100 to 599."""
        self._responses[status // 100] += 1


cdef class RoundRobin:

    def __cinit__(self):
        self._members = []

    cdef BackendCore head(self):
        """The backend that is next; None: there is none."""
        return <BackendCore>self._members[self._next] if self._members else None

    cpdef take_turn(self):
        """The head, which goes to the tail. There is one."""
        cdef BackendCore backend = <BackendCore>self._members[self._next]
        self._next += 1
        if self._next == len(self._members):
            self._next = 0
        return backend

    def append(self, BackendCore backend not None):
        """It is the tail now."""
        self._members.insert(self._next, backend)
        self._next += 1
        if self._next == len(self._members):
            self._next = 0

    def remove(self, backend):
        """The others keep their order. ValueError if it is no member."""
        cdef Py_ssize_t at = self._members.index(backend)
        del self._members[at]
        if at < self._next:
            self._next -= 1
        if self._next == len(self._members):
            self._next = 0

    @property
    def members(self):
        """Every member, the next one first."""
        return (*self._members[self._next:], *self._members[:self._next])

    def __len__(self):
        return len(self._members)

    def __contains__(self, backend):
        return backend in self._members
