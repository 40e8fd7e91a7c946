"""Bytes of one connection, whatever they mean.

stream             a non-blocking plain or TLS connection; what the kernel does not take waits in a send_queue; compiled
poller             what the streams of a worker share: readiness, the clock of deadlines, a buffer; compiled
sockets            the system calls of both
accept             new connections of a listening socket
peer               the addresses of a client connection, and which networks they are in
tunnel             two streams joined
descriptor_budget  how many connections the open-file limit allows
lingering_close    a connection that is being closed, until the other end has read what was sent
"""
