# cython: language_level=3
"""The system calls of sockets (socket(7), epoll(7))."""

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
    int EAGAIN, ECONNABORTED, EINPROGRESS, EINTR, EWOULDBLOCK

cdef extern from "<sys/socket.h>" nogil:
    struct sockaddr:
        pass
    struct sockaddr_storage:
        unsigned short ss_family
    int c_socket "socket"(int domain, int kind, int protocol)
    int c_accept4 "accept4"(int fd, sockaddr *address, unsigned int *size, int flags)
    int c_connect "connect"(int fd, const sockaddr *address, unsigned int size)
    int AF_INET, AF_INET6, SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC

cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        pass
    struct in6_addr:
        pass
    struct sockaddr_in:
        unsigned short sin_family
        unsigned short sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        unsigned short sin6_family
        unsigned short sin6_port
        uint32_t sin6_flowinfo
        in6_addr sin6_addr
        uint32_t sin6_scope_id
    unsigned short htons(unsigned short)
    unsigned short ntohs(unsigned short)
    uint32_t htonl(uint32_t)
    int IPPROTO_TCP

cdef extern from "<netinet/tcp.h>" nogil:
    int TCP_NODELAY

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char *text, void *address)
    const char *inet_ntop(int family, const void *address, char *text, unsigned int size)
