"""The data path: the only place where users' bytes move. On one event loop, through add_reader and add_writer.

Stream             a non-blocking plain or TLS connection, compiled; tells a Handler what happens on it
Poller             what a worker's streams share: the loop, a coarse clock, the receive buffer
Exchange           one request and its answer between two streams, compiled
ClientConnection   the policy of an exchange: which lane a request gets, and what a failure means
Lane, Lanes        a connection to a backend, and the stack of idle ones that each backend has
Listener           accepts, and holds what its client connections share
Tunnel, Farewell   two streams joined after an upgrade; a client connection that is being closed
"""
