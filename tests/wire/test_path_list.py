"""Which paths are listed, as far as that can be seen at a glance."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lbproxy.wire.path_list import listed
from lbproxy.wire.paths import is_denied


@pytest.mark.parametrize(
    ("wanted", "targets"),
    [
        (1, [b"/a", b"/A?x", b"/a/", b"/a/b", b"/b_c/D"]),
        (0, [b"/ab", b"/", b"/x/a", b"/x?/a", b"/b-c/d", b"/x?%61", b"/?//a", b"?/a", b""]),
        (2, [b"/%61", b"//a", b"/./a", b"/x/../a", b"/x\\a", b"/a;x", b"/.a"]),
    ],
)
def test_listed(wanted: int, targets: list[bytes]) -> None:
    assert {target: listed(target, (b"/a", b"/b_c/d")) for target in targets} == dict.fromkeys(targets, wanted)


@pytest.mark.parametrize("target", [b"/", b"/x", b"/x/y?z", b"", b"?x"])
def test_every_path_is_below_the_root(target: bytes) -> None:
    assert listed(target, (b"/",)) == 1


SEGMENTS = [b"/", b"a", b"b", b"A", b".", b"..", b";", b"%61", b"%2f", b"%", b"\\", b"-", b"?", b"*"]


@given(st.lists(st.sampled_from(SEGMENTS), max_size=8).map(b"".join), st.sampled_from([b"/", b"/a", b"/a/b"]))
@example(b"a/", b"/a")
def test_agrees_with_the_whole_answer(path: bytes, denied: bytes) -> None:
    """It decides common spellings by itself and leaves the others to `is_denied`."""
    assert listed(b"/" + path, (denied,)) in (2, is_denied(b"/" + path, (denied,)))
