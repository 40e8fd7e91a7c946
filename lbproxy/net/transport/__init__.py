"""Bytes of one connection, whatever they mean.

stream             a non-blocking plain or TLS connection, compiled; a Poller has what the streams of a process share
accept             new connections of a listening socket
peer               who is at the other end, and by which right
tunnel             two streams joined
descriptor_budget  how many connections the open-file limit allows
lingering_close    a connection that is being closed, until the other end has read what was sent
"""
