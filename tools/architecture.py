"""The picture and the tables of docs/architecture.md, made from the imports in lbproxy/.

Run it after a package or an import between packages has changed:

    .venv/bin/python tools/architecture.py

It writes docs/architecture.svg, and in docs/architecture.md what is between the marks. tests/docs/test_architecture.py
holds both to the code, and tests/test_tree.py reads imports with the functions of this file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "architecture.md"
PICTURE = ROOT / "docs" / "architecture.svg"

BEGIN, END = "<!-- begin: made by tools/architecture.py -->", "<!-- end -->"

CODE = (".py", ".pyi", ".pyx", ".pxd")
NO_PART = {"__init__", "__main__", "__version__"}

CYTHON_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+c?import[ \t]+(?:\(([^)]*)\)|([^#\n]*))|c?import[ \t]+([\w.]+))", re.MULTILINE
)

WIDTH, HEIGHT, ACROSS, DOWN, MARGIN = 250, 48, 30, 44, 16
"""Pixels: a box, the space between two boxes beside and below each other, and around all of them."""


# --- imports


def sources(folder: str, *suffixes: str) -> list[Path]:
    """The files under `folder` with one of these suffixes, relative to the root of the repository."""
    return sorted(path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.suffix in suffixes)


def python_imports(text: str, package: str) -> Iterator[str]:
    """Every module or name, dotted and absolute, that a Python file in `package` imports anywhere."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: 1 - node.level or None] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def cython_imports(text: str) -> Iterator[str]:
    """The same of a .pyx or .pxd file, which may also `cimport`; the data path has no relative imports."""
    for module, within, bare, plain in CYTHON_IMPORT.findall(text):
        if plain:
            yield plain
        else:
            yield from (f"{module}.{name.split()[0]}" for name in (within or bare).split(",") if name.strip())


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module or name, dotted and absolute, that the file at `path`, relative to the root, imports."""
    text = (ROOT / path).read_text()
    package = ".".join(path.parent.parts)
    return frozenset(cython_imports(text) if path.suffix in {".pyx", ".pxd"} else python_imports(text, package))


def package_of(path: Path) -> str:
    """lbproxy/net/http/client.py -> net; lbproxy/errors.py -> errors."""
    return Path(path.parts[1]).stem


def packages_imported(path: Path) -> set[str]:
    """The packages that a file imports from: lbproxy.net.upstream.lane.Lane -> net."""
    dotted = (name.split(".") for name in imports(path))
    found = {parts[1] for parts in dotted if parts[0] == "lbproxy" and len(parts) > 1}
    return found - {package_of(path), "__version__"}


Graph = Mapping[str, set[str]]


def graph() -> dict[str, set[str]]:
    """Every package, and every file beside the packages, with what it imports of the others."""
    found: dict[str, set[str]] = {}
    for path in sources("lbproxy", *CODE):
        if package_of(path) not in NO_PART:
            found.setdefault(package_of(path), set()).update(packages_imported(path) - NO_PART)
    return found


def reached(of: Graph, name: str) -> set[str]:
    """What `name` imports, and what that imports, and so on."""
    found: set[str] = set()
    following = list(of[name])
    while following:
        if (one := following.pop()) not in found:
            found.add(one)
            following += of[one]
    return found


def reduced(of: Graph) -> dict[str, set[str]]:
    """Without the imports that another way leads to as well."""
    return {
        name: {one for one in below if not any(one in reached(of, other) for other in below - {one})}
        for name, below in of.items()
    }


def levels(of: Graph) -> dict[str, int]:
    """How far each is below the top: one more than the lowest of those that import it."""
    found: dict[str, int] = {}
    while rest := set(of) - found.keys():
        for name in rest:
            above = {one for one, below in of.items() if name in below}
            if above <= found.keys():
                found[name] = max((found[one] + 1 for one in above), default=0)
                break
        else:
            raise ValueError(f"packages that import each other: {', '.join(sorted(rest))}")
    return found


# --- the picture


def files_beside() -> list[str]:
    """The files beside the packages: what every package may stand on."""
    return sorted(name for name in graph() if not (ROOT / "lbproxy" / name).is_dir())


def within(name: str) -> list[str]:
    """The packages in a package."""
    return sorted(path.parent.name for path in (ROOT / "lbproxy" / name).glob("*/__init__.py"))


def picture() -> str:
    """The packages as boxes, with an arrow for each import that no other way leads to."""
    beside = files_beside()
    ground = " · ".join(beside)
    merged = {name: {ground if one in beside else one for one in below} for name, below in graph().items()}
    arrows = reduced({name: below for name, below in merged.items() if name not in beside} | {ground: set()})
    level = levels(arrows)
    level[ground] = max(level.values()) + (sum(one == max(level.values()) for one in level.values()) > 1)
    columns, across = _columns(arrows, level, ground)
    body = [_arrow(columns, level, name, one, ground) for name in sorted(arrows) for one in sorted(arrows[name])]
    for name in sorted(arrows, key=lambda name: (level[name], columns[name])):
        wide = across if name == ground else WIDTH
        x = MARGIN if name == ground else columns[name]
        lines = [name] if name == ground else [name, *_lines(within(name))]
        body.append(_box(x, _y(level[name]), wide, lines))
    return _svg(across + 2 * MARGIN, _y(level[ground]) + HEIGHT + MARGIN, body)


def _columns(arrows: Graph, level: Mapping[str, int], ground: str) -> tuple[dict[str, int], int]:
    """Where each box begins, and how wide all of them are together.

    A package that imports only the ground, and is not just above it, has a column of its own on the right: no arrow
    crosses a box.
    """
    aside = sorted(
        (name for name in arrows if arrows[name] == {ground} and level[ground] - level[name] > 1),
        key=lambda name: -level[name],
    )
    rows: dict[int, list[str]] = {}
    for name in sorted(set(arrows) - {*aside, ground}):
        rows.setdefault(level[name], []).append(name)
    most = max(map(len, rows.values()))
    middle = MARGIN + (most * (WIDTH + ACROSS) - ACROSS) // 2
    found = {name: MARGIN + (most + number) * (WIDTH + ACROSS) for number, name in enumerate(aside)}
    for row in rows.values():
        left = middle - (len(row) * (WIDTH + ACROSS) - ACROSS) // 2
        found |= {name: left + number * (WIDTH + ACROSS) for number, name in enumerate(row)}
    return found | {ground: MARGIN}, (most + len(aside)) * (WIDTH + ACROSS) - ACROSS


def _y(level: int) -> int:
    return MARGIN + level * (HEIGHT + DOWN)


def _lines(names: list[str]) -> list[str]:
    """The packages in a box, on one line or two."""
    half = len(names) if len(names) < 5 else (len(names) + 1) // 2
    return [", ".join(part) for part in (names[:half], names[half:]) if part]


def _arrow(columns: Mapping[str, int], level: Mapping[str, int], name: str, below: str, ground: str) -> str:
    x = columns[name] + WIDTH // 2
    to = x if below == ground else columns[below] + WIDTH // 2
    return (
        f'<line x1="{x}" y1="{_y(level[name]) + HEIGHT}" x2="{to}" y2="{_y(level[below]) - 7}" '
        'stroke="#555" marker-end="url(#arrow)"/>'
    )


def _box(x: int, y: int, width: int, lines: list[str]) -> str:
    box = f'<rect x="{x}" y="{y}" width="{width}" height="{HEIGHT}" rx="5" fill="#eef3fa" stroke="#456"/>'
    middle = y + HEIGHT // 2 + 4 - 7 * (len(lines) - 1)
    styles = ['font-weight="bold"', *['font-size="11"'] * (len(lines) - 1)]
    texts = [
        f'<text x="{x + width // 2}" y="{middle + 14 * number}" text-anchor="middle" {style}>{escape(line)}</text>'
        for number, (line, style) in enumerate(zip(lines, styles, strict=True))
    ]
    return "\n".join([box, *texts])


def _svg(width: int, height: int, body: list[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
        'font-size="13"><rect width="100%" height="100%" fill="white"/>\n'
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="1" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto"><path d="M0 0 8 4 0 8z" fill="#555"/></marker></defs>'
    )
    return "\n".join([head, *body, "</svg>", ""])


# --- the tables


def summary(folder: Path) -> str:
    """The first sentence of the docstring of a package, or of a file beside the packages."""
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    paragraph = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=\.) ", paragraph)[0].rstrip(".").replace("|", "\\|")


def tables() -> str:
    """A table of the packages, and one of what is in each that has packages in it."""
    of = graph()
    level = levels(of)
    level |= dict.fromkeys(files_beside(), max(level.values()) + 1)
    lines = ["| package | what it is | imports |", "| --- | --- | --- |"]
    for name in sorted(of, key=lambda name: (level[name], name)):
        below = ", ".join(sorted(of[name])) or "nothing of lbproxy"
        lines.append(f"| `{name}` | {summary(ROOT / 'lbproxy' / name)} | {below} |")
    for name in sorted(filter(within, of), key=lambda name: (level[name], name)):
        lines += ["", f"In `{name}`:", "", "| package | what it is |", "| --- | --- |"]
        lines += [f"| `{name}/{one}` | {summary(ROOT / 'lbproxy' / name / one)} |" for one in within(name)]
    return "\n".join(lines)


def page(text: str) -> str:
    """The page `text` with the tables as they are now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


if __name__ == "__main__":
    PICTURE.write_text(picture())
    PAGE.write_text(page(PAGE.read_text()))
