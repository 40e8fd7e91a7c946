"""Dialogues for the tests of one exchange."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from lbproxy.net.transport.poller import Poller
from tests.net.dialogue import Dialogue, make_site

Converse = Callable[..., Dialogue]


@pytest.fixture
async def converse(poller: Poller) -> AsyncIterator[Converse]:
    """`converse(lanes=1, slow="")` begins a dialogue on the test's one site, made with any other arguments."""
    begun: list[Dialogue] = []

    def begin(lanes: int = 1, slow: str = "", **options: Any) -> Dialogue:
        site = begun[0].site if begun else make_site(**options)
        begun.append(Dialogue(poller, site, lanes, slow))
        return begun[-1]

    yield begin
    for dialogue in begun:
        dialogue.close()
