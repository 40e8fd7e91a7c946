"""What docs/ prints between fences."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[2] / "docs"

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A language, which may be "", and the text with its last newline."""

    language: str
    text: str


def blocks(page: str) -> list[Block]:
    """Of docs/`page`, in its order."""
    return [Block(*found) for found in _FENCED.findall((DOCS / page).read_text())]


def block(page: str, words: str) -> str:
    """The text of the one that has `words`."""
    [found] = [one.text for one in blocks(page) if words in one.text]
    return found
