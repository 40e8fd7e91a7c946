"""A profile as text and as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from bench.profile.parts import DATA_PATH, KERNEL, LIBC, LOOP, PYTHON, TLS, Part, groups
from bench.svg import bar, document, text

_SHOWN = 8  # parts of a group; the others are summed up
_LEAST = 0.005  # of all samples, for a part to be shown

_COLOURS: Mapping[str, str] = {
    KERNEL: "#7a869a",
    DATA_PATH: "#1f6feb",
    PYTHON: "#d9822b",
    LIBC: "#e0b060",
    LOOP: "#8e44ad",
    TLS: "#3fa34d",
}
_OTHER = "#c0392b"
_LEFT = 240  # pixels for the names
_LONGEST = 560  # pixels that stand for everything
_ROW = 14
_GAP = 6
_WIDTH = _LEFT + _LONGEST + 110


@dataclass(frozen=True, slots=True)
class Profile:
    """What was watched, the microseconds of CPU time that a request cost meanwhile, and where they went."""

    title: str
    cpu_us: float
    parts: list[Part]


def table(profile: Profile) -> Table:
    """The groups, and in each of them what takes most."""
    shown = Table("", box=box.MARKDOWN)
    for heading in ("share", "us/request"):
        shown.add_column(heading, justify="right")
    for group, name, share in _rows(profile):
        label = Text(f"- {name}" if name else f"**{group}**")  # no markup: perf has names in brackets
        shown.add_row(label, f"{share:.1%}", f"{share * profile.cpu_us:.2f}")
    return shown


def svg(profile: Profile) -> str:
    """The same as bars."""
    drawn: list[str] = []
    y = 26
    for group, name, share in _rows(profile):
        y += 0 if name else _GAP
        line = y + _ROW - 3
        drawn.append(text(16 if name else 0, line, name or group, weight="normal" if name else "bold"))
        colour = _COLOURS.get(group, _OTHER)
        drawn.append(bar(_LEFT, y + (5 if name else 1), share * _LONGEST, _ROW - (8 if name else 2), colour))
        figures = f"{share:.1%}, {share * profile.cpu_us:.2f} us"
        drawn.append(text(_LEFT + share * _LONGEST + 4, line, figures, weight="normal" if name else "bold"))
        y += _ROW
    return document(f"{profile.title}: {profile.cpu_us:.1f} us of CPU time a request", _WIDTH, y + _GAP, drawn)


def _rows(profile: Profile) -> Iterator[tuple[str, str, float]]:
    """Of each group itself, which has no name, and then its parts: group, name, share."""
    for group, whole in groups(profile.parts).items():
        if whole < _LEAST:
            continue
        yield group, "", whole
        inside = [part for part in profile.parts if part.group == group]
        shown = [part for part in inside[:_SHOWN] if part.share >= _LEAST]
        for part in shown:
            yield group, part.name, part.share
        rest = whole - sum(part.share for part in shown)
        if rest >= _LEAST and shown:
            yield group, f"{len(inside) - len(shown)} others", rest
