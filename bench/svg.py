"""The parts of SVG that pictures of measurements are made of."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def document(title: str, width: float, height: float, parts: Iterable[str]) -> str:
    """A whole picture, on white, with its title in the first 20 pixels."""
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>',
            text(0, 14, title, weight="bold"),
            *parts,
            "</svg>",
            "",
        )
    )


def bar(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def text(x: float, y: float, words: str, weight: str = "normal") -> str:
    """Left-aligned, on the line `y`."""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-weight="{weight}">{escape(words)}</text>'
