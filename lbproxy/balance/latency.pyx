# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""How long requests waited for their answers, and an example of each order of magnitude.

The buckets are log-linear, as in HdrHistogram: each doubling from 0.25 ms to 65.5 s has four of equal width. So a time is
known to within 12 % of itself, whatever it is, and the bucket of a time is found without a search. The first bucket
has what took less than 0.25 ms, the last one has the rest.
"""

from libc.stdint cimport uint64_t

cdef extern from *:
    int __builtin_clzll(unsigned long long) noexcept nogil

cdef enum:
    TICKS = 16000                # a second; one is the width of the buckets between 0.25 and 0.5 ms


def bounds():
    """What each bucket's times are below, in seconds; the last one's is infinity."""
    found = [2 ** doubling * (PARTS + part) / TICKS for doubling in range(DOUBLINGS) for part in range(PARTS)]
    return (*found, PARTS * 2 ** DOUBLINGS / TICKS, float("inf"))


cdef class Latency:

    cdef int observe(self, double seconds) noexcept nogil:
        """A request waited for so long. Returns the slot that an example of it belongs to."""
        cdef uint64_t ticks = <uint64_t>(seconds * TICKS) if seconds > 0 else 0
        cdef int doubling = -1
        cdef uint64_t bucket = 0
        if ticks >= PARTS:
            doubling = 61 - __builtin_clzll(ticks)       # 0 for those of PARTS to 2 * PARTS - 1 ticks
            bucket = 1 + PARTS * doubling + ((ticks >> doubling) & (PARTS - 1))
            if bucket >= BUCKETS:
                bucket = BUCKETS - 1
        self._buckets[bucket] += 1
        self.seconds += seconds
        return doubling + 1 if doubling < DOUBLINGS else SLOTS - 1

    cdef int keep(self, int slot, double until, object example) except -1:
        """`example` is one of the times of a slot; the slot wants no other one before `until`."""
        self.due[slot] = until
        if example is not None:
            if self._examples is None:
                self._examples = [None] * SLOTS
            self._examples[slot] = example
        return 0

    def add(self, double seconds):
        """`observe`, for plain Python."""
        self.observe(seconds)

    def example(self, double seconds, example):
        """`observe` and `keep`, for plain Python."""
        self.keep(self.observe(seconds), 0, example)

    @property
    def examples(self):
        """What was kept, the shortest times first."""
        return [] if self._examples is None else [one for one in self._examples if one is not None]

    @property
    def buckets(self):
        """How many times there are in each bucket."""
        return [self._buckets[i] for i in range(BUCKETS)]
