"""A connector in this process that says who the TLS peer is."""

from __future__ import annotations

import asyncio


async def answer_requests(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers each request with the common name in the certificate of the connection."""
    subject = dict(pair for rdn in writer.get_extra_info("peercert")["subject"] for pair in rdn)
    body = subject["commonName"].encode()
    while True:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()
