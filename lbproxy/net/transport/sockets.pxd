# cython: language_level=3
"""The system calls of streams (socket(7), epoll(7))."""

from libc.stdint cimport uint32_t


cdef extern from "<sys/socket.h>" nogil:
    ssize_t c_recv "recv"(int fd, void *buffer, size_t size, int flags)
    ssize_t c_send "send"(int fd, const void *buffer, size_t size, int flags)
    ssize_t c_sendmsg "sendmsg"(int fd, const msghdr *message, int flags)
    int c_shutdown "shutdown"(int fd, int how)
    int c_getsockopt "getsockopt"(int fd, int level, int name, void *value, unsigned int *size)
    int c_setsockopt "setsockopt"(int fd, int level, int name, const void *value, unsigned int size)
    int MSG_NOSIGNAL, MSG_PEEK, MSG_DONTWAIT, SHUT_WR, SOL_SOCKET, SO_ERROR, SO_LINGER
    struct msghdr:
        iovec *msg_iov
        size_t msg_iovlen
    struct linger:
        int l_onoff
        int l_linger

cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        void *ptr

    struct epoll_event:
        uint32_t events
        epoll_data_t data

    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int fd, epoll_event *event)
    int epoll_wait(int epoll, epoll_event *events, int size, int timeout)
    int EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL
    uint32_t EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len

cdef extern from "<errno.h>" nogil:
    int EAGAIN, EINTR, EWOULDBLOCK
