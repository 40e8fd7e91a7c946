"""Servers that ask who connects, as connectors with client certificates do."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.pki import Files


def demanding(server: Files, client_ca: Path, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """The context of a server that lets nobody in without a certificate of `client_ca`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.chain, server.key)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(client_ca)
    context.minimum_version = context.maximum_version = version
    return context


async def leaving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ends each connection without a word after the handshake, as Node.js does with a certificate it does not trust."""
    writer.transport.abort()


@contextlib.contextmanager
def s_server(server: Files, client_ca: Path, *options: str) -> Iterator[int]:
    """The port of an `openssl s_server` that does the same as `demanding`."""
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", str(server.chain), "-key", str(server.key)]
    command += ["-CAfile", str(client_ca), "-Verify", "1", "-verify_return_error", "-www", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        try:
            accepts = next(filter(None, (re.match(rb"ACCEPT .*:(\d+)", line) for line in process.stdout)))
            yield int(accepts[1])
        finally:
            process.kill()
