# cython: language_level=3
"""What an exchange waits for."""

from libc.stdint cimport uint64_t


cpdef enum Phase:
    """What an exchange waits for."""

    IDLE = 0         # a request head
    WAITING = 1      # a lane; the policy will call `run` or `refuse`
    SENT = 2         # the response head; the request body may still flow
    ANSWERING = 3    # the rest of the response; the request body may still flow
    UPLOADING = 4    # the rest of the request; the response is complete
    ENDED = 5        # nothing: the client connection is closed, closing, or a tunnel


cdef enum:               # phase -> which may follow, as bits
    AFTER_IDLE = 1 << IDLE | 1 << WAITING | 1 << ENDED       # a refused head is answered without a lane
    AFTER_WAITING = 1 << IDLE | 1 << SENT | 1 << ENDED
    AFTER_SENT = 1 << IDLE | 1 << WAITING | 1 << ANSWERING | 1 << ENDED
    AFTER_ANSWERING = 1 << UPLOADING | 1 << ENDED
    AFTER_UPLOADING = 1 << IDLE | 1 << ENDED
    AFTER_ENDED = 0


cdef inline bint may_follow(Phase before, Phase after) noexcept nogil:
    """Whether an exchange may go on from one phase to another. The table is one constant, a byte for each phase."""
    cdef uint64_t table = (
        <uint64_t>AFTER_IDLE
        | <uint64_t>AFTER_WAITING << 8 * WAITING
        | <uint64_t>AFTER_SENT << 8 * SENT
        | <uint64_t>AFTER_ANSWERING << 8 * ANSWERING
        | <uint64_t>AFTER_UPLOADING << 8 * UPLOADING
        | <uint64_t>AFTER_ENDED << 8 * ENDED
    )
    return table >> (8 * <int>before + <int>after) & 1


cdef str phase_name(Phase phase)
