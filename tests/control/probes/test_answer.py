from __future__ import annotations

import pytest

from lbproxy.control.probes.answer import Answer, NoAnswerError
from lbproxy.control.probes.attempt import HungUpError

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (OK, 200),
        (OK + b"ok", 200),
        (b"HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\n\r\n", 401),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, 200),
        (b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", 101),
        (b"HTTP/1.1 200 OK\r\nX-Large: " + b"x" * 100_000 + b"\r\n\r\n", 200),
    ],
)
def test_the_final_status_however_the_head_comes(head: bytes, status: int) -> None:
    assert Answer(to_head=False).status(head) == status
    answer, step = Answer(to_head=False), len(head) // 7
    pieces = (head[at : at + step] for at in range(0, len(head), step))
    assert next(filter(None, map(answer.status, pieces))) == status


BARE_LF = b"HTTP/1.1 204 No Content\nX: lines without CR\n\n"


def test_lines_that_end_with_lf_alone() -> None:
    assert Answer(to_head=False, bare_lf=True).status(BARE_LF) == 204
    with pytest.raises(NoAnswerError, match=r"lines that end without CR LF \(bare_lf\)"):
        Answer(to_head=False).status(BARE_LF)


def test_answers_do_not_mix() -> None:
    """Though they share a parser."""
    one, other = Answer(to_head=False), Answer(to_head=True)
    assert one.status(OK[:30]) is None
    assert other.status(b"HTTP/1.1 404 Not Found\r\n\r\n") == 404
    assert one.status(OK[30:]) == 200


@pytest.mark.parametrize(
    ("received", "why"),
    [
        (b"", "closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "the answer was cut short"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "closed the connection without an answer"),
    ],
)
def test_an_end_before_the_end(received: bytes, why: str) -> None:
    answer = Answer(to_head=False)
    if received:
        assert answer.status(received) is None
    with pytest.raises((NoAnswerError, HungUpError), match=why):
        answer.status(b"")


@pytest.mark.parametrize(
    "received",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Huge: " + b"x" * 200_000,
    ],
)
def test_what_users_would_be_refused_is_not_http(received: bytes) -> None:
    with pytest.raises(NoAnswerError, match="the answer is not HTTP"):
        Answer(to_head=False).status(received)
