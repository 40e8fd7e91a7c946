"""docs/headers.md: what it says of headers is what heads are written with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lbproxy.wire.fields import Limits
from lbproxy.wire.headers import RESPONSE_FIELDS, request_fields
from lbproxy.wire.request_heads import Forwarding, RequestHead
from lbproxy.wire.response_heads import ResponseHead

PAGE = (Path(__file__).parents[2] / "docs" / "headers.md").read_text()
REQUESTS, ANSWERS = PAGE.split("## Answers")
NAMES = re.compile(r"`([A-Z][A-Za-z_-]+\*?)`")
LIMITS = Limits(64 * 1024, 100)


def names(text: str, title: str) -> set[str]:
    """The headers in the first column of the table, or in the sentence, that `title` is above."""
    part = text.split(f"**{title}**")[1].split("**")[0].split("\n## ")[0]
    rows = [line.split("|")[1] for line in part.splitlines() if line.startswith("| ")]
    return set(NAMES.findall(" ".join(rows) if rows else part))


REMOVED = sorted(names(REQUESTS, "Removed") - {"Connection"})
KEPT = sorted(names(REQUESTS, "Kept") - {"Host"})


def written(*lines: str) -> list[str]:
    """The lines of the head that a backend gets."""
    head = RequestHead(LIMITS, request_fields(request_id="X-Request-ID"))
    text = "\r\n".join(("GET / HTTP/1.1", "Host: login.test", *lines, "", ""))
    assert head.read(text.encode()) == len(text)
    out = head.rewritten(
        Forwarding(b"https", b"443", b"login.test", request_id=b"X-Request-ID"), b"10.0.0.1", chance=bytes(16)
    )
    return out.decode().split("\r\n")[1:-2]


def test_it_has_both() -> None:
    assert len(REMOVED) > 15
    assert {"Authorization", "Cookie"} <= set(KEPT)


@pytest.mark.parametrize("name", REMOVED)
def test_what_is_removed(name: str) -> None:
    name = name.replace("*", "X")
    assert not [line for line in written(f"{name}: made-up") if "made-up" in line]


@pytest.mark.parametrize("name", KEPT)
def test_what_is_kept(name: str) -> None:
    assert f"{name.swapcase()}: a  b" in written(f"{name.swapcase()}:  a  b")


def test_what_is_added() -> None:
    added = {line.partition(":")[0] for line in written()} - {"Host"}
    assert added == names(REQUESTS, "Added or set anew") & added
    assert added >= {"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port"}


def test_the_order_stays() -> None:
    lines = ["B: 1", "a: 2", "Cookie: 3", "B: 4"]
    assert [line for line in written(*lines) if line in lines] == lines


def test_what_an_answer_keeps() -> None:
    head = ResponseHead(LIMITS, RESPONSE_FIELDS)
    kept = ["WWW-Authenticate: Negotiate", "Set-Cookie: a=b", "Server: x", "Date: y", "Location: https://other.test/"]
    text = "\r\n".join(("HTTP/1.1 200 OK", *kept, "Keep-Alive: 5", "Proxy-Connection: z", "Content-Length: 0", "", ""))
    head.read(text.encode())
    out = head.rewritten(b"").decode().split("\r\n")
    assert [line for line in out if line in kept] == kept
    assert not [line for line in out if line.startswith(("Keep-Alive", "Proxy-Connection", "Via"))]
