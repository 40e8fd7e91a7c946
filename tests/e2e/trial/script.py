"""What the clients of a trial do, and what becomes of each request at a backend: all of it drawn from one seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from ..tokens import kerberos_token, ntlm_token

CREDENTIALS: dict[str, float] = {
    "none": 40,
    "basic": 15,
    "kerberos": 15,
    "apikey": 12,
    "ntlm": 10,
    "leg": 4,
    "refused": 4,
}
"""How often each is carried. `ntlm` is two requests, `leg` a continuation; a `refused` token is not believed."""

ONCE = frozenset({"kerberos", "apikey", "ntlm1", "ntlm3", "leg", "refused"})
"""Those with which a request is sent to one backend only (rule 6 of docs/lanes.md)."""

DEEDS: dict[str, float] = {
    "answer": 500, "chunked": 120, "until close": 15, "close": 40, "early": 25, "early close": 15, "continue": 25,
    "hints": 20, "slow": 20, "hang": 0.3, "drop": 40, "reset": 25, "drop fresh": 2, "cut head": 2, "cut body": 2,
    "cut until close": 1, "junk": 6, "error": 10, "unavailable": 8, "offer": 20, "pieces": 40, "large": 6,
    "close later": 30, "half-close": 15,
}  # fmt: skip
"""What a backend does with a request, and how often; those that eject a backend are rare."""

LEAVES: dict[str, float] = {
    "close": 70,
    "reset": 12,
    "half-close": 8,
    "in the head": 3,
    "in the body": 4,
    "before the answer": 6,
    "garbage": 2,
}


@dataclass(frozen=True)
class Request:
    """One request. deeds: what the first backend that gets it does, then the next, and so on; later ones answer.

    once: it must not run twice. framing: of the body, "none", "length" or "chunked". shown: what Authorization says.
    key: it has an Idempotency-Key. size: of the body in bytes.
    """

    id: str
    method: str
    version: str
    user: str | None
    credential: str
    shown: str | None
    framing: str
    size: int
    expects: bool
    upgrade: bool
    once: bool
    key: bool
    closes: bool
    deeds: tuple[str, ...]

    def head(self) -> bytes:
        """As the client sends it."""
        lines = [f"{self.method} /{self.id} {self.version}", "Host: login.test"]
        if self.shown is not None:
            lines.append(f"Authorization: {self.shown}")
        if self.framing == "length":
            lines.append(f"Content-Length: {self.size}")
        elif self.framing == "chunked":
            lines.append("Transfer-Encoding: chunked")
        if self.expects:
            lines.append("Expect: 100-continue")
        if self.key:
            lines.append(f"Idempotency-Key: {self.id}")
        if self.upgrade:
            lines += ["Connection: upgrade", "Upgrade: echo"]
        elif self.closes:
            lines.append("Connection: close")
        elif self.version == "HTTP/1.0":
            lines.append("Connection: keep-alive")
        return "\r\n".join([*lines, "", ""]).encode()

    def body(self) -> bytes:
        """The same, in its framing."""
        if self.framing == "none":
            return b""
        data = pattern(self.id, self.size)
        return data if self.framing == "length" else chunks(data)


@dataclass(frozen=True)
class Visit:
    """A client connection: batches of requests that are sent at once, each in pieces of that size; then how it leaves.

    patience: seconds that pass between two pieces.
    """

    number: int
    batches: tuple[tuple[Request, ...], ...]
    piece: int
    patience: float
    leaves: str
    last: Request
    shows_certificate: bool


def pattern(id_: str, size: int) -> bytes:
    """Bytes that are nobody else's."""
    word = f"{id_}/".encode()
    return (word * (size // len(word) + 1))[:size]


def chunks(data: bytes) -> bytes:
    """In the chunked coding."""
    half = len(data) // 2
    parts = [part for part in (data[:half], data[half:]) if part]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def visits(seed: int) -> Iterator[Visit]:
    """Without end."""
    number = 0
    while True:
        yield Writer(random.Random(f"{seed}/{number}"), number).visit()
        number += 1


class Writer:
    """Of one visit."""

    def __init__(self, dice: random.Random, number: int) -> None:
        self._dice = dice
        self._number = number
        self._count = 0
        self._user = f"u{number}"

    def visit(self) -> Visit:
        dice = self._dice
        batches: list[tuple[Request, ...]] = []
        for _ in range(dice.choice((1, 4, 8, 16, 32))):
            size = dice.choices((1, 2, 4), (80, 12, 8))[0]
            batches += self._batch(size)
        if dice.random() < 0.08:
            batches.append((self._request("upgrade"),))
        return Visit(
            self._number,
            tuple(batches),
            dice.choices((1 << 20, 700, 37), (85, 10, 5))[0],
            dice.choices((0.0, 0.003), (90, 10))[0],
            self._draw(LEAVES),
            self._request(self._plain()),
            dice.random() < 0.8,
        )

    def _draw(self, weights: dict[str, float]) -> str:
        return self._dice.choices(list(weights), list(weights.values()))[0]

    def _batch(self, size: int) -> list[tuple[Request, ...]]:
        credential = self._draw(CREDENTIALS)
        if self._dice.random() < 0.05:
            self._user += "x"  # somebody else sits down at this client
        if credential == "ntlm":
            return [(self._request("ntlm1"),), (self._request("ntlm3"),)]
        return [tuple(self._request(credential if n == 0 else self._plain()) for n in range(size))]

    def _plain(self) -> str:
        return self._dice.choice(("none", "none", "basic"))

    def _request(self, credential: str) -> Request:
        dice = self._dice
        self._count += 1
        id_ = f"{self._number}-{self._count}"
        upgrade = credential == "upgrade"
        credential = "none" if upgrade else credential
        method = "GET" if upgrade else dice.choices(("GET", "HEAD", "POST", "PUT"), (60, 6, 28, 6))[0]
        framing = "none" if method in ("GET", "HEAD") and dice.random() < 0.95 else dice.choice(("length", "chunked"))
        framing = "none" if upgrade or (framing == "chunked" and method == "HEAD") else framing
        version = "HTTP/1.0" if framing != "chunked" and not upgrade and dice.random() < 0.04 else "HTTP/1.1"
        key = method in ("POST", "PUT") and dice.random() < 0.2
        return Request(
            id_, method, version,
            user=None if credential == "none" else self._user,
            credential=credential,
            shown=shown(credential, self._user),
            framing=framing,
            size=dice.choices((0, 20, 3000, 150_000), (10, 60, 28, 2))[0] if framing != "none" else 0,
            expects=framing != "none" and version == "HTTP/1.1" and dice.random() < 0.15,
            upgrade=upgrade,
            once=credential in ONCE or (method not in ("GET", "HEAD") and not key),
            key=key,
            closes=dice.random() < 0.02,
            deeds=tuple(self._draw(DEEDS) for _ in range(dice.choice((1, 1, 1, 2)))),
        )  # fmt: skip


def shown(credential: str, user: str) -> str | None:
    """The value of an Authorization line."""
    match credential:
        case "none":
            return None
        case "basic":
            return f"Basic {user}"
        case "apikey":
            return f"ApiKey {user}"
        case "ntlm1":
            return f"NTLM {ntlm_token(1, user)}"
        case "ntlm3":
            return f"NTLM {ntlm_token(3, user)}"
        case "leg":
            return "Negotiate oQcwBaADCgEB"  # a NegTokenResp without a token (RFC 4178 section 4.2.2)
    return f"Negotiate {kerberos_token(user)}"
