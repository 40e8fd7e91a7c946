from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lbproxy.config import Config
from lbproxy.config.unsupported import TABLE

DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"

REFUSED = {("workers",): ["workers = 2", 'workers = "auto"']}
"""Key -> lines that ask for it."""


@pytest.mark.parametrize(("key", "line"), [(key, line) for key, lines in REFUSED.items() for line in lines])
def test_is_refused_by_name(
    key: tuple[str, ...], line: str, problems_of: Callable[[str], list[str]], sound: str
) -> None:
    assert problems_of(f"{line}\n{sound}") == [f"{'.'.join(key)}: not supported yet"]


def test_every_row_is_tried_above() -> None:
    assert set(TABLE) == set(REFUSED)


def test_a_neutral_value_is_accepted(load_text: Callable[[str], Config], sound: str) -> None:
    assert load_text(f"workers = 1\n{sound}").workers == 1


def test_an_impossible_value_is_not_called_unsupported(problems_of: Callable[[str], list[str]], sound: str) -> None:
    assert problems_of(f"workers = 0\n{sound}") == ['workers: must be "auto" or a whole number of at least 1']


def test_the_docs_name_every_row() -> None:
    text = DOCS.read_text()
    assert not [key for key in TABLE if f"`{key[-1]}`" not in text]
