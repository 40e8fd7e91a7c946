"""ClientHellos: made by hand, by Python's ssl and by `openssl s_client`."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess

import pytest

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")

GREASE = 0x2A2A  # a value of RFC 8701, which nobody understands
KEY_SHARE = 51


def vector(size: int, content: bytes) -> bytes:
    """Content after its length in `size` bytes."""
    return len(content).to_bytes(size) + content


def extension(kind: int, content: bytes) -> bytes:
    return kind.to_bytes(2) + vector(2, content)


def server_name(*names: bytes, kind: int = 0) -> bytes:
    """The extension of RFC 6066 section 3."""
    return extension(0, vector(2, b"".join(bytes((kind,)) + vector(2, name) for name in names)))


def message(extensions: bytes | None = b"", kind: int = 1, end: bytes = b"") -> bytes:
    """A ClientHello with these extensions, or without the field for them; `end` comes after it, but inside."""
    body = b"\3\3" + bytes(32) + vector(1, bytes(32)) + vector(2, b"\x2a\x2a\x13\x01") + vector(1, b"\0")
    if extensions is not None:
        body += vector(2, extensions)
    return bytes((kind,)) + vector(3, body + end)


def record(fragment: bytes, kind: int = 22, version: bytes = b"\3\1") -> bytes:
    return bytes((kind,)) + version + vector(2, fragment)


def records(whole: bytes, size: int = 1 << 14) -> bytes:
    """A message in records of at most `size` bytes."""
    return b"".join(record(whole[at : at + size]) for at in range(0, len(whole), size))


def hello(name: bytes | None = b"login.test", size: int = 1 << 14) -> bytes:
    """As a browser would send it: GREASE first and last, and key shares of a post-quantum size."""
    shares = b"\x2a\x2a\0\1\0" + b"\x11\xec" + vector(2, b"k" * 1216) + b"\0\x1d" + vector(2, b"x" * 32)
    named = b"" if name is None else server_name(name)
    extensions = extension(GREASE, b"") + extension(KEY_SHARE, vector(2, shares)) + named + extension(0x3A3A, b"\0")
    return records(message(extensions), size)


class SslClient:
    """Python's TLS client, without a network."""

    def __init__(self, name: str | None, highest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, padding: int = 0) -> None:
        """padding: bytes of ALPN names that make the hello larger."""
        context = ssl.create_default_context()
        context.check_hostname = name is not None
        context.maximum_version = highest
        if padding:
            context.set_alpn_protocols(["p" * 99] * (padding // 100))
        self._incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, outgoing, server_hostname=name)
        with pytest.raises(ssl.SSLWantReadError):
            self._tls.do_handshake()
        self.hello = outgoing.read()

    def reason_after(self, answer: bytes) -> str:
        """Why the handshake fails when this is all that the server says."""
        self._incoming.write(answer)
        with pytest.raises(ssl.SSLError) as error:
            self._tls.do_handshake()
        return error.value.reason


def s_client(*options: str) -> bytes:
    """The hello of `openssl s_client` with these options."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{listener.getsockname()[1]}", *options]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet) as process:
            try:
                connection, _ = listener.accept()
                with connection:
                    connection.settimeout(10)
                    header = connection.recv(5, socket.MSG_WAITALL)
                    return header + connection.recv(int.from_bytes(header[3:]), socket.MSG_WAITALL)
            finally:
                process.kill()
