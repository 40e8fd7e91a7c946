"""What `perf script -F period,ip,sym,dso` prints, read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

FIELDS = "period,ip,sym,dso"

_FRAME = re.compile(r"^\s+[0-9a-f]+ (.+) \((.+)\)$")


@dataclass(frozen=True, slots=True)
class Frame:
    """A function, and the file (or `[kernel.kallsyms]`) that it is in; "[unknown]" where perf does not know."""

    symbol: str
    file: str


@dataclass(frozen=True, slots=True)
class Sample:
    """`weight` is the time that it stands for, in any unit. What ran comes first in `frames`, its caller next."""

    weight: int
    frames: tuple[Frame, ...]


def samples(lines: Iterable[str]) -> Iterator[Sample]:
    """The samples that have a frame. Each is a line with its period, one for each frame, and an empty one."""
    weight, frames = 0, list[Frame]()
    for line in lines:
        if found := _FRAME.match(line.rstrip()):
            frames.append(Frame(found[1], found[2]))
        elif line.strip():
            weight = int(line)
        elif frames:
            yield Sample(weight, tuple(frames))
            frames = []
    if frames:
        yield Sample(weight, tuple(frames))
