"""What a run of a target begins with: the messages of the tests' tables, and what runs before have found."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.auth.tokens import MADE
from tests.wire import bodies, hellos, request_heads, response_heads
from tests.wire.test_path_list import SEGMENTS
from tests.wire.test_proxyproto import WHOLE
from tests.wire.test_trace_context import VALUE

CORPUS = Path(__file__).parent / "corpus"


def seeds(target: str) -> list[bytes]:
    """The inputs for a target, without the corpus. KeyError: there is no such target."""
    return _SEEDS[target]


def corpus(target: str) -> list[bytes]:
    """What earlier runs have found and kept for a target."""
    return [path.read_bytes() for path in sorted((CORPUS / target).glob("*"))]


def _with_options(raws: Iterable[bytes], options: int) -> list[bytes]:
    """Each message, cut in its middle, with each of so many choices of options."""
    unique = sorted(set(raws), key=lambda raw: (len(raw), raw))
    return [bytes((chosen, 128)) + raw for raw in unique for chosen in range(options)]


_REQUESTS = [raw for raw, _ in (*request_heads.ACCEPTED.values(), *request_heads.REFUSED.values()) if len(raw) < 2000]
_RESPONSES = [
    *(case.raw for case in response_heads.ACCEPTED.values()),
    *(
        raw
        for table in (response_heads.REFUSED, response_heads.BARE_LF, response_heads.NEVER)
        for raw, _ in table.values()
    ),
]
_CHUNKS = [
    *(b"".join(step.fed for step in dialogue.steps) for dialogue in bodies.DIALOGUES.values()),
    *bodies.BAD_CHUNKS,
    *bodies.BAD_TRAILERS,
    *bodies.BARE_LF,
    *bodies.NEVER,
]
_HELLOS = [
    hellos.hello(),
    hellos.hello(None, 100),
    hellos.records(hellos.message(hellos.server_name(b"login.test")), 7),
    hellos.records(hellos.message(None)),
    hellos.records(hellos.message(hellos.server_name(b"a", b"b"), end=b"x")),
]

_SEEDS = {
    "request": _with_options(_REQUESTS, 4),
    "response": _with_options((raw for raw in _RESPONSES if len(raw) < 2000), 4),
    "chunked": _with_options((raw for raw in _CHUNKS if len(raw) < 2000), 8),
    "client_hello": _with_options(_HELLOS, 1),
    "proxy_header": _with_options(WHOLE, 1),
    "token": [token for token, _ in MADE.values()],
    "path": SEGMENTS,
    "trace": [VALUE],
}
