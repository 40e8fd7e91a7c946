"""Bytes and their meaning. No I/O, no clock, no asyncio; limits arrive as arguments.

A strict parser and writer of HTTP/1.x, compiled; each file stands on those above it:

slices           pieces of a buffer: compared, judged and copied
fields           header lines, and what their names mean
heads            what both kinds of head say of body and connection
request_heads    read from clients, written for backends
response_heads   read from backends, written for clients
bodies           which bytes belong to a body, and which are passed on
path_list        whether a path is listed, as far as that can be seen at a glance

In plain Python:

headers      which header names mean what: the tables that fields scans with
paths        the one spelling of a path that deny_paths is compared with
hosts        the server that a Host value names
proxyproto   the PROXY header, which tells whose connection a proxy relays
clienthello  the server name that a TLS client asks for
"""
