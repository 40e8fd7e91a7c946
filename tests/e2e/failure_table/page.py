"""lbproxy's own answers, as far as the table has them."""

from __future__ import annotations

from http import HTTPStatus


def page(status: int, reason: str, *, retry_after: int | None = None, closes: bool = False) -> bytes:
    """The reason is named, and nothing of what is behind it. closes: the client connection ends with it."""
    title = f"{status} {HTTPStatus(status).phrase}"
    body = f"{title}\nThe service cannot answer at the moment.\n\nreason: {reason}\n"
    lines = [
        f"HTTP/1.1 {title}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        *([] if retry_after is None else [f"Retry-After: {retry_after}"]),
        f"Connection: {'close' if closes else 'keep-alive'}",
    ]
    return "\r\n".join([*lines, "", body]).encode()
