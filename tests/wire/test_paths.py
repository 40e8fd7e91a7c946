"""Which path a request target names, however it is spelled."""

from __future__ import annotations

from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.wire.paths import is_denied, normalised


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/", b"/"),
        (b"", b"/"),
        (b"/a/B", b"/a/b"),
        (b"/a/", b"/a"),
        (b"//a///b//", b"/a/b"),
        (b"/./a/./b/.", b"/a/b"),
        (b"/a/../b", b"/b"),
        (b"/../../a", b"/a"),
        (b"/a/b/..", b"/a"),
        (b"/a/...", b"/a/..."),
        (b"\\a\\..\\b", b"/b"),
        (b"/a;x=1/b;y", b"/a/b"),
        (b"/;x/a", b"/a"),
        (b"/..;x/a", b"/a"),
        (b"/%61%2Fb", b"/a/b"),
        (b"/x/%2e%2E/a", b"/a"),
        (b"/x%5c..%5Ca", b"/a"),
        (b"/a%3bx", b"/a"),
        (b"/%2561", b"/a"),
        (b"/%25252561", b"/a"),
        (b"/a%3Fb", b"/a?b"),
        (b"/100%", b"/100%"),
        (b"/%zz", b"/%zz"),
        (b"/caf%C3%A9", b"/caf\xc3\xa9"),
    ],
)
def test_normalised(target: bytes, path: bytes) -> None:
    assert normalised(target) == path


@pytest.mark.parametrize(
    "target",
    [
        *b"/a|/a/|/A|/a/x|/a?x|/%61|/%2561|//a|/./a|/x/../a|/x/%2e%2e/a|/x/y/../../a|/../a|/a;x|/a;x/y|/;x/a".split(
            b"|"
        ),
        *b"\\a|/x\\..\\a|/x%5c..%5ca|/%2fa|/b/c|/b//c|/b/./c/|/b/x/../c|/b/%63".split(b"|"),
        *b"/a/..|/a/../x|/a/../../x|/a/%2e%2e/x|/a%2f..%2fx|/a/%252e%252e/x|/a;x/../y|/b/c/../../x".split(b"|"),
    ],
)
def test_denied_in_some_reading(target: bytes) -> None:
    """Also when it leaves the denied path again: there are backends that do not resolve `..`, or decode only once."""
    assert is_denied(target, (b"/a", b"/b/c"))


@pytest.mark.parametrize("target", b"/|/ab|/x/a|/?/a|/x?/../a|/b|/bc|/b/../c|/a.html|/.a|/%2e%61".split(b"|"))
def test_denied_in_no_reading(target: bytes) -> None:
    assert not is_denied(target, (b"/a", b"/b/c"))


def test_everything_is_below_the_root() -> None:
    assert is_denied(b"/x/y", (b"/",))
    assert not is_denied(b"/x/y", ())


def test_what_was_encoded_a_thousand_times_is_denied() -> None:
    """It also costs no thousand passes."""
    assert is_denied(b"/%" + b"25" * 100_000 + b"61", (b"/a",))
    assert not is_denied(b"/%" + b"25" * 3 + b"78", (b"/a",))


@pytest.mark.parametrize("segments", [2, 20_000])
def test_deep_paths(segments: int) -> None:
    assert not is_denied(b"/x" * segments, (b"/a",))
    assert is_denied(b"/x" * segments + b"/.." * segments + b"/a", (b"/a",))


@given(st.binary(max_size=20).map(lambda raw: b"/" + raw.translate(None, b"?%")), st.integers(0, 4))
def test_percent_encoding_hides_nothing(path: bytes, times: int) -> None:
    encoded = path
    for _ in range(times):
        encoded = quote_from_bytes(encoded).encode()
    assert normalised(encoded) == normalised(path)
