"""The data path: the only place where users' bytes move. On one event loop, through add_reader and add_writer.

transport    bytes of one connection: stream, accept, tunnel, lingering close
tls          TLS towards clients and backends
listener     from a listening socket to a client connection whose peer is known
http         HTTP/1.x: the client connection, and the exchange of one request and its answer, compiled
passthrough  modes tcp and sni
upstream     connections to backends: lanes, shared and private
"""
