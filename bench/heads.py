"""The request heads that are measured: what a browser sends, and the two large credentials.

Every value is the same in each run, so that results of two days can be compared.
"""

from __future__ import annotations

import random
from base64 import b64encode
from collections.abc import Mapping

HOST = "login.corp.example"
LARGE = 9 * 1024  # characters of a large credential; tickets with many groups reach 64 KB, 9 KB is a common one

MARK = 8  # characters that make a token one user's own

SMALL = {"Host": HOST}

BROWSER = {
    "Host": HOST,
    "Cache-Control": "max-age=0",
    "Upgrade-Insecure-Requests": "1",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "
    "Safari/537.36",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Referer": f"https://{HOST}/wsfed?wa=wsignin1.0&wtrealm=urn%3Aexample&wctx=abcdefghijklmnop",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-US,en;q=0.9,de;q=0.8",
    "Cookie": "session=eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIn0."
    "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c; connect.sid=s%3AqG1n0xJ8v3kT7yR2bW5eZ9uL4aH6cM0d."
    "pV7sX2fK9jQ4wN8tB1gE5rY3mC6zL0aU2hD7iO4kF9S; csrf=8f14e45fceea167a5a36dedd4bea2543; theme=dark; lang=en",
}
"""A page navigation of Chrome: twelve headers, about 900 bytes."""

_SPNEGO = bytes.fromhex("06062b0601050502")  # 1.3.6.1.5.5.2
_KERBEROS = bytes.fromhex("06092a864886f712010202")  # 1.2.840.113554.1.2.2
_AP_REQ_TOKEN = b"\x01\x00"  # TOK_ID, RFC 4121 section 4.1
_AP_REQ_START = bytes.fromhex("a003020105a10302010e")  # pvno 5, msg-type 14: RFC 4120 section 5.5.1


def basic(size: int = LARGE) -> str:
    """A Basic credential of `size` characters, up to the rounding of base64."""
    return "Basic " + b64encode(_noise(size * 3 // 4)).decode()


def negotiate(size: int = LARGE) -> str:
    """A Negotiate credential of about `size` characters: SPNEGO's first token with a Kerberos AP-REQ in it (RFC 4178).

    Its structure is true, so that a proxy which looks inside does its work; its ticket is noise.
    """
    return "Negotiate " + b64encode(_initial_token(size)).decode()


def negotiate_parts(size: int = LARGE) -> tuple[str, str]:
    """The same, without MARK characters at the beginning of the ticket: what stands before, and what after them.

    With any characters of base64 in their place it is another user's token.
    """
    value, token = negotiate(size), _initial_token(size)
    at = len("Negotiate ") + -(-token.index(_ticket(size)) // 3) * 4
    return value[:at], value[at + MARK :]


def own_token(parts: tuple[str, str], number: int) -> str:
    """The user's with this number, from 0 up to 16 ** MARK."""
    return f"{parts[0]}{number:0{MARK}x}{parts[1]}"


def _ticket(size: int) -> bytes:
    return _noise(size * 3 // 4 - 80)


def _initial_token(size: int) -> bytes:
    ticket = _der(0xA3, _der(0x04, _ticket(size)))
    kerberos = _der(0x60, _KERBEROS + _AP_REQ_TOKEN + _der(0x6E, _der(0x30, _AP_REQ_START + ticket)))
    init = _der(0x30, _der(0xA0, _der(0x30, _KERBEROS)) + _der(0xA2, _der(0x04, kerberos)))
    return _der(0x60, _SPNEGO + _der(0xA0, init))


def head(headers: Mapping[str, str], method: str = "GET", target: str = "/") -> bytes:
    """A whole request head as it is sent."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("ascii")


def _noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def _der(tag: int, content: bytes) -> bytes:
    """One element (X.690 section 8.1)."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(length))) + length + content
