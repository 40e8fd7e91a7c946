# cython: language_level=3
"""How long requests waited for their answers: a histogram that costs a few instructions a request."""

from libc.stdint cimport uint64_t


cdef enum:
    PARTS = 4                    # buckets in each doubling: each is at most a fourth of its lower bound wide
    DOUBLINGS = 18               # from 0.25 ms to 65.5 s
    BUCKETS = 2 + PARTS * DOUBLINGS
    SLOTS = 2 + DOUBLINGS        # for examples: one a doubling


cdef class Latency:
    cdef:
        readonly double seconds         # the sum of all
        uint64_t _buckets[BUCKETS]
        double due[SLOTS]               # when the slot takes another example; seconds, CLOCK_MONOTONIC
        list _examples
        int observe(self, double seconds) noexcept nogil
        int keep(self, int slot, double until, object example) except -1
