# cython: language_level=3
"""Bytes that the kernel did not take yet, in order. All of it is inline."""

from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove


cdef struct SendQueue:
    char *data
    size_t start
    size_t size          # of what waits, from `start` on
    size_t room


cdef inline const char *front(SendQueue *queue) noexcept nogil:
    return queue.data + queue.start


cdef inline bint append(SendQueue *queue, const char *data, size_t size) noexcept nogil:
    """False when there is no memory; nothing has changed then."""
    cdef size_t room = queue.size + size
    cdef char *grown
    if queue.start:
        memmove(queue.data, queue.data + queue.start, queue.size)
        queue.start = 0
    if room > queue.room:
        grown = <char *>realloc(queue.data, room)
        if grown == NULL:
            return False
        queue.data = grown
        queue.room = room
    memcpy(queue.data + queue.size, data, size)
    queue.size += size
    return True


cdef inline void drop(SendQueue *queue, size_t size) noexcept nogil:
    """So many bytes were sent. An empty queue owns no memory."""
    queue.start += size
    queue.size -= size
    if queue.size == 0:
        free(queue.data)
        queue.data = NULL
        queue.start = queue.room = 0
