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

    cdef void begin_request(self) noexcept:
        self.active += 1

    cdef bint end_request(self, int status) noexcept:
        self.active -= 1
        self.requests += 1
        if status == 0:
            return False
        self._responses[status // 100] += 1
        if 502 <= status <= 504:
            return False
        self.errors_in_row = 0
        return True

    def begin(self):
        """A request is given to it, and is open from now on."""
        self.begin_request()

    def leave(self):
        """An open request goes elsewhere, or is given up: it had no part of an answer."""
        self.active -= 1

    def end(self, int status):
        """An open request is over. status: of its whole answer, 100 to 599; 0: it got none.

        True: the answer is no error of the backend. Errors are 502, 503 and 504 (RFC 9110 section 15.6): it could not
        do its work. A 500 may be the request's own fault.
        """
        return self.end_request(status)

    def count_response(self, int status):
        """An answer of a request that is not over: another backend is asked instead."""
        self.requests += 1
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
