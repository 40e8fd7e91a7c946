from __future__ import annotations

import json

import pytest

from lbproxy.control.fleet.replica import Replica
from tests.control.fleet.made import REPLICA


def test_there_and_back() -> None:
    assert Replica.decode(REPLICA.encode()) == REPLICA


def test_what_another_version_has_added_is_left_out() -> None:
    told = json.loads(REPLICA.encode()) | {"mood": "fine"}
    assert Replica.decode(json.dumps(told).encode()) == REPLICA


@pytest.mark.parametrize(
    "changed",
    [
        {"run": 1},
        {"since": "yesterday"},
        {"since": -1},
        {"upgraded": 1e12},
        {"generation": None},
        {"listeners": ["login"]},
        {"listeners": {"login": 1}},
        {"backends": {"connectors": 2}},
        {"backends": {"connectors": {"up": "2"}}},
    ],
)
def test_a_field_of_another_type_is_refused(changed: dict[str, object]) -> None:
    told = json.loads(REPLICA.encode()) | changed
    with pytest.raises(ValueError, match=next(iter(changed))):
        Replica.decode(json.dumps(told).encode())


def test_a_number_that_is_too_large_for_one_is_refused() -> None:
    """It would be above every revision, so that all orders would look applied there."""
    with pytest.raises(ValueError, match="generation and revision are numbers"):
        Replica.decode(REPLICA.encode().replace(b'"revision":0', b'"revision":1e999'))


def test_a_missing_field_is_refused() -> None:
    told = json.loads(REPLICA.encode())
    del told["run"]
    with pytest.raises(ValueError, match="a field is missing"):
        Replica.decode(json.dumps(told).encode())
