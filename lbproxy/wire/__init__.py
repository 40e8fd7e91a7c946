"""Bytes and their meaning. No I/O, no clock, no asyncio; limits arrive as arguments.

http1        RequestHead, ResponseHead and Body: a strict parser and writer, compiled
headers      which header names mean what: the tables that http1 scans with
paths        the one spelling of a path that deny_paths is compared with
hosts        the server that a Host value names
proxyproto   the PROXY header, which tells whose connection a proxy relays
clienthello  the server name that a TLS client asks for
"""
