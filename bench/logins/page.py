"""The report as one HTML file: nothing in it is loaded from elsewhere, and every text in it is escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from bench.logins.figures import Figures, Slice, Waits
from bench.logins.report import cells, heading
from bench.svg import bar, text

_GOOD, _BAD, _LINE = "#1f6feb", "#c0392b", "#d9822b"
_WIDTH, _HEIGHT = 900, 160  # of a picture, in pixels
_LEFT, _TOP, _BOTTOM = 60, 24, 18

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 940px; margin: 2em auto; padding: 0 1em; color: #1b1f24 }
table { border-collapse: collapse; margin: 1em 0 }
th, td { padding: .2em .9em; text-align: right; border-bottom: 1px solid #d0d7de }
th:first-child, td:first-child { text-align: left }
svg { max-width: 100%; height: auto }
.bad { color: #c0392b; font-weight: bold }
"""


def html(figures: Figures, parts: Sequence[Slice], what: str) -> str:
    """The whole file."""
    title, *sentences = heading(figures, what).splitlines()
    body = [
        f"<h1>{escape(title)}</h1>",
        *(f"<p{' class=bad' if 'ANOTHER USER' in line else ''}>{escape(line)}</p>" for line in sentences),
        *_section("Over time", [over_time(parts)] if parts else []),
        *_section("Steps", [*_waits("step", figures.steps)]),
        *_section("Instances", [*_waits("instance", figures.instances), spread(figures)] if figures.instances else []),
        *_section("Failures", [*_failures(figures)]),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<style>{_STYLE}</style></head><body>\n'
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _section(title: str, parts: list[str]) -> list[str]:
    return [f"<h2>{title}</h2>", *parts] if parts else []


def _waits(name: str, rows: dict[str, Waits]) -> Iterator[str]:
    if rows:
        yield _table(
            (f"{name}, ms", "count", "p50", "p90", "p99", "longest"), [(key, *cells(it)) for key, it in rows.items()]
        )


def _failures(figures: Figures) -> Iterator[str]:
    if figures.failures:
        yield _table(("why", "logins"), [(why, str(count)) for why, count in figures.failures.items()])


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def over_time(parts: Sequence[Slice]) -> str:
    """Logins a slice as bars, failed ones on top in red, and the p99 of their waits as a line."""
    most = max(part.good + part.failed for part in parts) or 1
    slowest = max(part.p99 for part in parts) or 1.0
    step = (_WIDTH - _LEFT) / len(parts)
    drawn: list[str] = []
    points = []
    for number, part in enumerate(parts):
        x = _LEFT + number * step
        good, failed = (_HEIGHT * count / most for count in (part.good, part.failed))
        base = _TOP + _HEIGHT
        drawn.append(bar(x, base - good, max(step - 1, 1), good, _GOOD))
        if part.failed:
            drawn.append(bar(x, base - good - failed, max(step - 1, 1), max(failed, 1), _BAD))
        points.append(f"{x + step / 2:.1f},{base - _HEIGHT * part.p99 / slowest:.1f}")
    drawn.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{_LINE}" stroke-width="2"/>')
    length = parts[1].start - parts[0].start if len(parts) > 1 else 1.0
    words = f"blue: logins in {length:.1f} s, at most {most}; red: failed; orange: p99, at most {slowest * 1000:.0f} ms"
    end = f"{parts[-1].start + length:.0f} s"
    labels = (
        text(_LEFT, 14, words),
        text(_LEFT, _TOP + _HEIGHT + 14, "0 s"),
        text(_WIDTH - 40, _TOP + _HEIGHT + 14, end),
    )
    return _picture("logins over time", _TOP + _HEIGHT + _BOTTOM, [*drawn, *labels])


def spread(figures: Figures) -> str:
    """A bar an instance, as long as its share; the line is where all would end if they had the same."""
    counts = {name: waits.count for name, waits in figures.instances.items()}
    total, most = sum(counts.values()), max(counts.values())
    unit = (_WIDTH - 260) / most
    drawn: list[str] = []
    for row, (name, count) in enumerate(counts.items()):
        y = _TOP + row * 22
        drawn += [text(0, y + 13, name[:24]), bar(160, y, count * unit, 16, _GOOD)]
        drawn.append(text(166 + count * unit, y + 13, f"{count} ({count / total:.2%})"))
    even = 160 + total / len(counts) * unit
    bottom = _TOP + len(counts) * 22
    drawn.append(f'<line x1="{even:.1f}" y1="{_TOP - 6}" x2="{even:.1f}" y2="{bottom}" stroke="{_LINE}"/>')
    drawn.append(text(even - 30, 14, "even"))
    return _picture("logins by instance", bottom + 8, drawn)


def _picture(label: str, height: int, parts: Sequence[str]) -> str:
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" role="img"'
    return (
        f'{opening} aria-label="{label}" font-family="sans-serif" font-size="11" fill="#57606a">{"".join(parts)}</svg>'
    )
