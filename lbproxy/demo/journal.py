"""A connector's journal: one JSON object a line for every request, written before the request is answered.

With the journals of all instances, a test can say which request reached whom, on which lane, and whether one ticket
was presented twice. A token is kept as its digest only.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request: `id` is its X-Request-ID, `token` the SHA-256 of its Authorization value, `time` epoch seconds."""

    method: str
    path: str
    id: str | None
    token: str | None
    user: str | None
    instance: str
    connection: int
    request: int
    time: float = field(default_factory=time.time)


class Journal:
    """Appends to a file; None keeps no journal."""

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("a", buffering=1) if path else None  # a line is written when it ends

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._file:
            self._file.close()

    def write(self, entry: Entry) -> None:
        """The line is with the kernel when this returns: it survives a SIGKILL of the connector."""
        if self._file:
            self._file.write(json.dumps(asdict(entry)) + "\n")


def read_journal(path: Path) -> list[Entry]:
    """Every entry of a journal, in order."""
    return [Entry(**json.loads(line)) for line in path.read_text().splitlines()]


def token_digest(authorization: str | None) -> str | None:
    """What stands for an Authorization value in a journal: the SHA-256 of it in hex."""
    return sha256(authorization.encode()).hexdigest() if authorization else None
