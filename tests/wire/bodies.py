"""Message bodies as tables: dialogues, followed byte for byte, and chunks that are refused (RFC 9112 section 7)."""

from __future__ import annotations

from typing import NamedTuple

from lbproxy.wire.bodies import Body
from lbproxy.wire.fields import FieldTable
from lbproxy.wire.heads import Framing

NO_BODY, BY_LENGTH, CHUNKED, UNTIL_CLOSE = Framing.NO_BODY, Framing.BY_LENGTH, Framing.CHUNKED, Framing.UNTIL_CLOSE


class Step(NamedTuple):
    """`fed` comes in, `passed` is passed on, `left` of it is not part of the body."""

    fed: bytes
    passed: bytes
    left: bytes = b""


class Dialogue(NamedTuple):
    """decode: data only is passed on; done: the body is complete after the last step, and not before."""

    framing: Framing
    steps: list[Step]
    length: int = 0
    decode: bool = False
    done: bool = True


def _through(piece: bytes) -> Step:
    """A step that passes on what comes in."""
    return Step(piece, piece)


def _whole(raw: bytes, passed: bytes | None = None, left: bytes = b"", decode: bool = False) -> Dialogue:
    """A chunked body in one step."""
    return Dialogue(CHUNKED, [Step(raw + left, raw if passed is None else passed, left)], decode=decode)


NEXT = b"GET / HTTP/1.1\r\n"

DIALOGUES: dict[str, Dialogue] = {
    "no body": Dialogue(NO_BODY, [Step(NEXT, b"", NEXT)]),
    "length 0": Dialogue(BY_LENGTH, [Step(NEXT, b"", NEXT)]),
    "length": Dialogue(BY_LENGTH, [Step(b"he", b"he"), Step(b"", b""), Step(b"llo" + NEXT, b"llo", NEXT)], length=5),
    "length, cut": Dialogue(BY_LENGTH, [Step(b"hell", b"hell")], length=5, done=False),
    "length beyond memory": Dialogue(BY_LENGTH, [Step(b"x", b"x")], length=2**64 - 1, done=False),
    "until close": Dialogue(UNTIL_CLOSE, [Step(b"a", b"a"), Step(b"0\r\n\r\n", b"0\r\n\r\n")], done=False),
    "last chunk only": _whole(b"0\r\n\r\n", left=NEXT),
    "last chunk of many zeros": _whole(b"000000000000000\r\n\r\n"),
    "chunks": _whole(b"5\r\nhello\r\nA\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", left=NEXT),
    "chunks that look like framing": _whole(b"7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n"),
    "leading zeros": _whole(b"000000000000005\r\nhello\r\n0\r\n\r\n"),
    "extensions": _whole(
        b'5;a=b;c="d;e\t\xe9"\r\nhello\r\n1;;x\r\ny\r\n0;z\r\n\r\n',
        b"5\r\nhello\r\n1\r\ny\r\n0\r\n\r\n",
    ),
    "an escaped quote in an extension": _whole(b'1;a="b\\"\\\\;c"\r\nx\r\n0\r\n\r\n', b"1\r\nx\r\n0\r\n\r\n"),
    "decoded": _whole(b"5;x\r\nhello\r\n3\r\n, a\r\n0\r\n\r\n", b"hello, a", left=NEXT, decode=True),
    "trailers": _whole(b"1\r\nx\r\n0\r\nA:1\r\nb_c:  2 \r\n\r\n", b"1\r\nx\r\n0\r\nA: 1\r\nb_c: 2\r\n\r\n", left=NEXT),
    "trailers, decoded": _whole(b"1\r\nx\r\n0\r\nA: 1\r\n\r\n", b"x", left=NEXT, decode=True),
    "byte by byte": Dialogue(
        CHUNKED,
        [
            *(_through(piece) for piece in (b"1", b"0")),
            *(Step(piece, b"") for piece in (b";", b"x")),
            *(_through(piece) for piece in (b"\r", b"\n", b"0123456789", b"abcde", b"f\r", b"\n0\r", b"\n")),
            *(Step(b"\r", b""), Step(b"\n" + NEXT, b"\r\n", NEXT)),
        ],
    ),
    "trailers in pieces": Dialogue(
        CHUNKED,
        [
            Step(b"0\r\nA", b"0\r\n"),
            *(Step(piece, b"") for piece in (b": 1\r", b"\nB: 2\r\n\r")),
            Step(b"\n" + NEXT, b"A: 1\r\nB: 2\r\n\r\n", NEXT),
        ],
    ),
    "decoded byte by byte": Dialogue(
        CHUNKED,
        [
            *(Step(piece, b"") for piece in (b"2", b"\r")),
            *(Step(b"\na", b"a"), Step(b"b", b"b")),
            *(Step(b"\r\n0\r\n\r", b""), Step(b"\n" + NEXT, b"", NEXT)),
        ],
        decode=True,
    ),
    "cut in the size": Dialogue(CHUNKED, [Step(b"1", b"1")], done=False),
    "cut before the last line": Dialogue(CHUNKED, [Step(b"0\r\n", b"0\r\n")], done=False),
    "cut in the trailers": Dialogue(CHUNKED, [Step(b"0\r\nA: 1\r\n", b"0\r\n")], done=False),
    "the largest size": Dialogue(CHUNKED, [Step(b"fffffffffffffff\r\nx", b"fffffffffffffff\r\nx")], done=False),
}

_SIZES = b"-1|+1|0x1| 1|1 |1\t|1 ;x||;x|g|1_0|1,1|\xb9|0000000000000001".split(b"|")
BAD_CHUNKS = [
    *(size + b"\r\nx\r\n0\r\n\r\n" for size in _SIZES),
    *b"G\r\n|@\r\n|`\r\n|:\r\n|/\r\n|ffffffffffffffff\r\n|10000000000000001\r\nx\r\n".split(b"|"),
    *b"1\nx\r\n|1\rx|1\r\r\n|1\r\nx\n|1\r\nx\r0|1\r\nxy\r\n|1\r\nx0\r\n|2\r\nx\r\n0\r\n\r\n".split(b"|"),
    *b"1;a\nb\r\n|1;a\rb\r\n|1;\0\r\n|1;\x7f\r\n|1;a\x1b\r\n".split(b"|"),
    *b'1;a="\r\n"\r\nx\r\n|1;a="\n"\r\nx\r\n|1;a="b\\"\r\nx\r\n'.split(b"|"),
    b"1;" + b"x" * 20_000,
    b"1;x\r\na\r\n" * 9_000,
]
_TRAILERS = b"X|X : 1| X: 1|X: 1\r\n 2|X: \0|X: 1\r2|: 1|\xe9: 1".split(b"|")
BAD_TRAILERS = [
    *(b"0\r\n" + line + b"\r\n\r\n" for line in _TRAILERS),
    *b"0\r\n\n|0\r\nX: 1\n\r\n|0\r\nX: 1\r\n\n".split(b"|"),
    b"0\r\nX: " + b"x" * 9_000,
    b"0\r\nX: " + b"x" * 9_000 + b"\r\n\r\n",
    b"0\r\n" + b"X:\r\n" * 65 + b"\r\n",
]

BARE_LF = {
    b"1\nx\n0\n\n": b"1\r\nx\r\n0\r\n\r\n",
    b"1\r\nx\n0\r\n\r\n": b"1\r\nx\r\n0\r\n\r\n",
    b"1\nx\r\n0\n\r\n": b"1\r\nx\r\n0\r\n\r\n",
    b"2;a=b\n\n\r\n0;c\n\n": b"2\r\n\n\r\r\n0\r\n\r\n",
    b"0\r\nA:1\nB: 2\r\n\n": b"0\r\nA: 1\r\nB: 2\r\n\r\n",
}
"""A chunked body with lines that end with LF alone: what is passed on of it."""

NEVER = [
    *b'\n1\nx\n0\n\n|1\n\nx\n0\n\n|1\nxy\n0\n\n|1;a="\n"\nx\n0\n\n|1\r\r\nx\n0\n\n|-1\nx\n0\n\n|1 \nx\n0\n\n'.split(
        b"|"
    ),
    b"1\nx0\n\n",
]
"""Chunks that are refused even where lines may end so."""

NEVER_LATE = (
    b"Host|Content-Length|transfer-encoding|Connection|Upgrade|Expect|Trailer|TE|Authorization|Cookie|X-Forwarded-For|"
    b"X-Forwarded-User|X_Forwarded_Any|Forwarded|X-IISNode-LOGON_USER|Client-Cert|X-Original-URL|a_b|X-Mine"
).split(b"|")
"""Header names that may not stand in the trailers of a request, with x-mine as the administrator's own."""


def fed(
    pieces: list[bytes], decode: bool = False, table: FieldTable | None = None, bare_lf: bool = False
) -> tuple[bytes, int, bool] | str:
    """(passed on, bytes used, done) of a chunked body that comes in pieces, or why it is refused."""
    body = Body()
    body.begin(Framing.CHUNKED, 0, decode, table, bare_lf)
    passed, used = b"", 0
    for piece in pieces:
        try:
            out, took = body.feed(piece)
        except ValueError as error:
            return str(error)
        passed, used = passed + out, used + took
    return passed, used, body.done


def in_short(raw: bytes) -> str:
    """A test's name."""
    return repr(raw if len(raw) < 40 else raw[:20] + b"..." + raw[-10:])
