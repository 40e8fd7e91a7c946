"""In which order several processes run the tests: each gets an equal part of them, and takes of another's when done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar
from zlib import crc32

Test = TypeVar("Test")


def dealt(tests: Sequence[Test], parts: int, group: Callable[[Test], str | None]) -> list[Test]:
    """The tests in `parts` equal parts, each of which begins with its share of the groups; those stay whole.

    group: of a test that takes long, None of others. So the last ones that run are short, and no process waits long
    for another at the end. Groups of like names are alike: were they dealt by name, all processes would wait at once,
    and work at once.
    """
    groups: dict[str, list[Test]] = {}
    short: list[Test] = []
    for test in tests:
        name = group(test)
        (short if name is None else groups.setdefault(name, [])).append(test)
    hands: list[list[Test]] = [[] for _ in range(parts)]
    for number, name in enumerate(sorted(groups, key=lambda name: crc32(name.encode()))):
        hands[number % parts].extend(groups[name])
    size, given = -(-len(tests) // parts), 0
    for hand in hands:
        more = max(0, size - len(hand))
        hand.extend(short[given : given + more])
        given += more
    found = [test for hand in hands for test in hand]
    assert len(found) == len(tests), "one is lost, or twice there"
    return found
