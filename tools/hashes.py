"""The lines of hashes.txt that parts of lbproxy need, for `pip install --require-hashes --no-deps -r`.

    python3 tools/hashes.py PART...

A PART is `build` (what building needs), `run` (what the program needs), an extra, or a group of pyproject.toml. It runs
before anything is installed, and needs Python alone. If hashes.txt lacks what a part asks for: one line, and status 1.
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FILE = "hashes.txt"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ENTRY = re.compile(r"^# (?P<parts>[a-z -]+)\n(?P<lines>(?P<name>[\w.-]+)==(?:.*\\\n)+.*\n)", re.MULTILINE)


def canonical(requirement: str) -> str:
    """The name of the package, spelled as PEP 503 compares it."""
    found = _NAME.match(requirement)
    if not found:
        raise ValueError(f"{requirement!r} names no package")
    return re.sub("[-_.]+", "-", found[0]).lower()


def parts(pyproject: Mapping[str, Any]) -> dict[str, list[str]]:
    """Each part's requirements as pyproject.toml has them; an extra that names others of lbproxy has theirs too."""
    project = pyproject["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]

    def all_of(extra: str) -> Iterable[str]:
        for requirement in extras[extra]:
            if own := re.fullmatch(r"lbproxy\[(.*)\]", requirement):
                for other in own[1].split(","):
                    yield from all_of(other.strip())
            else:
                yield requirement

    return {
        "build": pyproject["build-system"]["requires"],
        "run": project["dependencies"],
        **{extra: [*all_of(extra)] for extra in extras},
        **pyproject["dependency-groups"],
    }


def entries(hashes: str) -> list[tuple[set[str], str, str]]:
    """Of the text of hashes.txt: the parts that need a package, its canonical name, and its lines."""
    return [(set(one["parts"].split()), canonical(one["name"]), one["lines"]) for one in _ENTRY.finditer(hashes)]


def lines(wanted: Iterable[str], pyproject: Mapping[str, Any], hashes: str) -> str:
    """The lines that the parts in `wanted` need; ValueError if there is no such part, or if one is not whole."""
    known, wanted = parts(pyproject), set(wanted)
    if unknown := sorted(wanted - known.keys()):
        raise ValueError(f"there is no part {unknown[0]!r}, but: {', '.join(known)}")
    chosen = [(name, text) for needed_by, name, text in entries(hashes) if needed_by & wanted]
    asked = {canonical(requirement) for part in wanted for requirement in known[part]}
    for name in sorted(asked - {name for name, _ in chosen}):
        raise ValueError(f"{FILE} lacks {name}, which pyproject.toml asks for; run: make constraints ONLY={name}")
    return "".join(text for _, text in chosen)


def main(wanted: list[str]) -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        pyproject = tomllib.load(file)
    try:
        print(lines(wanted, pyproject, (ROOT / FILE).read_text()), end="")
    except (OSError, ValueError) as error:
        sys.exit(f"make: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
