from __future__ import annotations

import json
from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

from lbproxy.control.snapshot import Snapshot
from lbproxy.reasons import TABLE
from tests.control import sample


def keys_missing_or_unknown(value: Any, hint: Any) -> set[str]:
    """Where `value` has other keys than the TypedDict `hint`, all the way down."""
    if is_typeddict(hint):
        hints = get_type_hints(hint)
        wrong = set(value) ^ set(hints)
        return wrong.union(
            *(keys_missing_or_unknown(value[key], inner) for key, inner in hints.items() if key in value)
        )
    if get_origin(hint) is list:
        return set().union(*(keys_missing_or_unknown(item, get_args(hint)[0]) for item in value))
    return set()


def test_the_sample_that_the_other_tests_use_is_a_snapshot() -> None:
    assert not keys_missing_or_unknown(sample.snapshot(), Snapshot)


def test_a_missing_key_would_be_found() -> None:
    broken = json.loads(json.dumps(sample.snapshot()))
    del broken["pools"][0]["backends"][1]["active"]
    assert keys_missing_or_unknown(broken, Snapshot) == {"active"}


def test_crosses_json_unchanged_but_for_tuples() -> None:
    there_and_back = json.loads(json.dumps(sample.snapshot(), allow_nan=False))
    assert there_and_back["pools"] == sample.snapshot()["pools"]
    assert there_and_back["request_seconds"]["buckets"] == [[0.005, 100], [0.5, 590]]


def test_the_sample_uses_labels_of_the_table_of_reasons() -> None:
    snapshot = sample.snapshot()
    [listener] = snapshot["listeners"]
    labels = {*snapshot["ends"], *listener["refused"], *listener["ends"], snapshot["pools"][0]["backends"][1]["reason"]}
    assert labels <= set(TABLE)
