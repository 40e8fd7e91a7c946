# cython: language_level=3
"""Which epoll set watches a descriptor, and for what (epoll(7)). All of it is inline."""

from libc.stdint cimport uint32_t

from lbproxy.net.transport.sockets cimport EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, epoll_ctl, epoll_event


cdef struct Watched:
    int epoll
    uint32_t events      # 0: none, and no set


cdef inline int control(Watched *watched, int operation, int fd, uint32_t events, void *owner) noexcept nogil:
    cdef epoll_event event
    event.events = events
    event.data.ptr = owner
    if epoll_ctl(watched.epoll, operation, fd, &event) != 0:
        return -1
    watched.events = events
    return 0


cdef inline int watch(Watched *watched, int epoll, int fd, uint32_t events, void *owner) noexcept nogil:
    """From now on the set `epoll` reports these events of `fd` as those of `owner`; -1, and errno, when it cannot."""
    if watched.events and epoll != watched.epoll and control(watched, EPOLL_CTL_DEL, fd, 0, owner) != 0:
        return -1
    if events == watched.events:
        return 0
    watched.epoll = epoll
    if not watched.events:
        return control(watched, EPOLL_CTL_ADD, fd, events, owner)
    return control(watched, EPOLL_CTL_MOD if events else EPOLL_CTL_DEL, fd, events, owner)
