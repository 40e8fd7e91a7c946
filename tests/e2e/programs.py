"""curl and `openssl s_client` as clients, each run to its end."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from .client import HOST
from .progress import DEADLINE


@dataclass(frozen=True)
class Ran:
    """A program's exit status and what it wrote."""

    status: int
    out: str
    err: str


async def run(*command: str, typed: bytes = b"") -> Ran:
    """Run `command`, with `typed` as its whole standard input."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(DEADLINE):
            out, err = await process.communicate(typed)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


async def curl(address: tuple[str, int], path: str, *options: object, scheme: str = "https", host: str = HOST) -> Ran:
    """Ask for `path` of `host`, which is at `address`."""
    ip, port = address
    resolve = f"{host}:{port}:{ip}"
    words = ["curl", "--silent", "--show-error", "--max-time", "20", "--resolve", resolve, *map(str, options)]
    return await run(*words, f"{scheme}://{host}:{port}{path}")


@dataclass(frozen=True)
class Shown:
    """What `openssl s_client` says of a connection. alert: the number of a fatal one that it got (RFC 8446 section 6).

    `text` is all that it wrote, with what it received.
    """

    protocol: str
    resumed: bool
    verified: bool  # the server's certificate
    alert: int | None
    text: str


async def s_client(address: tuple[str, int], *options: object, asks: bytes = b"", name: str | None = HOST) -> Shown:
    """Connect with SNI `name` and send `asks`, after which the server has to close."""
    ip, port = address
    named = ["-noservername"] if name is None else ["-servername", name]
    words = ["openssl", "s_client", "-connect", f"{ip}:{port}", *named, "-ign_eof", *map(str, options)]
    ran = await run(*words, typed=asks)
    session = re.search(r"^(New|Reused), (\S+), Cipher is", ran.out, re.MULTILINE)
    alert = re.search(r"SSL alert number (\d+)", ran.err)
    return Shown(
        protocol=session[2] if session else "",
        resumed=session is not None and session[1] == "Reused",
        verified="Verify return code: 0 (ok)" in ran.out,
        alert=int(alert[1]) if alert else None,
        text=ran.out + ran.err,
    )
