from __future__ import annotations

import pytest

from lbproxy.control.etcd import values
from lbproxy.control.etcd.values import Event, KeyValue


def test_fields_that_etcd_leaves_out_have_their_defaults() -> None:
    assert values.key_value({"key": "YQ=="}) == KeyValue("a", b"", 0, 0, 0)
    assert values.revision({}) == 0
    assert values.listing({"header": {"revision": "7"}}).values == ()


def test_a_key_that_is_not_utf_8_survives() -> None:
    key = values.key_value({"key": values.encode(b"/lbproxy/\xff")}).key
    assert values.decode(values.encode(key)) == b"/lbproxy/\xff"


def test_a_prefix_ends_before_the_next_one() -> None:
    assert values.prefix_range("/a/") == {"key": values.encode("/a/"), "range_end": values.encode("/a0")}
    last = values.prefix_range("a\udcff")  # the byte FF has no successor
    assert last == {"key": values.encode(b"a\xff"), "range_end": values.encode("b")}


def test_events() -> None:
    put = {"kv": {"key": "YQ==", "value": "Yg==", "create_revision": "2", "mod_revision": "3"}}
    assert values.event(put) == Event("a", 3, KeyValue("a", b"b", 2, 3))
    assert values.event({"type": "DELETE", "kv": {"key": "YQ==", "mod_revision": "4"}}) == Event("a", 4, None)


@pytest.mark.parametrize("told", [7, "!!", "YQ"])
def test_what_is_not_base64(told: object) -> None:
    with pytest.raises(ValueError, match=r"base64|padding"):
        values.decode(told)
