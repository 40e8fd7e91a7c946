"""The requests of the table, as a client sends them and as a backend has to get them."""

from __future__ import annotations

from dataclasses import dataclass

from ..client import HOST, Client, chunked, request
from ..tokens import kerberos_token

_SMALL = b"a small body"
_CHUNKS = [bytes((number,)) * 32 * 1024 for number in b"1234"]  # twice the default of retry_buffer
_END = b"0\r\n\r\n"


@dataclass(frozen=True)
class Ask:
    """One request, but for its target."""

    name: str
    method: str
    line: str
    body: str

    def __str__(self) -> str:
        return f"{self.name}, {self.body}"

    @property
    def has_token(self) -> bool:
        return self.line.startswith("Authorization: Negotiate")

    @property
    def is_replayable(self) -> bool:
        """Whether it may be sent again though all of it was sent (docs/failure.md)."""
        safe = self.method == "GET" or self.line.startswith("Idempotency-Key")
        return safe and not self.has_token and self.body != "streamed body"

    @property
    def payload(self) -> bytes:
        """The body without its framing."""
        return {"no body": b"", "small body": _SMALL, "streamed body": b"".join(_CHUNKS)}[self.body]

    def head(self, target: str) -> bytes:
        """As a client sends it."""
        framing = {"small body": f"Content-Length: {len(_SMALL)}", "streamed body": "Transfer-Encoding: chunked"}
        return request(target, self.method, *filter(None, (self.line, framing.get(self.body))))

    def forwarded(self, target: str, port: int) -> bytes:
        """The head as a backend gets it: the same lines in the same order, and lbproxy's own behind them."""
        own = (
            f"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n"
            f"X-Forwarded-Host: {HOST}\r\nX-Forwarded-Port: {port}\r\n"
        )
        return self.head(target)[:-2] + own.encode() + b"\r\n"

    async def send(self, client: Client, target: str) -> None:
        """All of it; a streamed body chunk by chunk."""
        if self.body == "streamed body":
            await client.send(self.head(target), *(chunked([chunk]).removesuffix(_END) for chunk in _CHUNKS), _END)
        else:
            await client.send(self.head(target) + self.payload)


_KINDS = {
    "GET": ("GET", ""),
    "POST": ("POST", ""),
    "POST with a key": ("POST", "Idempotency-Key: 17"),
    "GET with a token": ("GET", f"Authorization: Negotiate {kerberos_token('alice')}"),
}

ASKS = [Ask(name, *kind, body) for name, kind in _KINDS.items() for body in ("no body", "small body", "streamed body")]
