"""Resolves all dependencies into constraints.txt (versions) and hashes.txt (also digests, and what needs each).

    python -m tools.lock UV [PACKAGE...]     what `make constraints` runs

Without PACKAGEs, everything is resolved anew, with the newest versions. With them, they alone are raised, and others
only where they must. One version serves all Pythons that pyproject.toml allows. UV is the program.
"""

import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

from tools.hashes import FILE, ROOT, canonical, parts

CONSTRAINTS = "constraints.txt"
PYTHONS = ("3.11.2", "3.11.99", "3.12.99", "3.13.99", "3.14.99")
MACHINES = ("x86_64", "aarch64")

_VERSIONS_HEAD = """\
# Every package that building, testing and running lbproxy needs, for Python 3.11 and newer.
# Made by `make constraints` from pyproject.toml; do not edit.
"""
_HASHES_HEAD = """\
# The packages of constraints.txt with the digests of their files: wheels for Linux on x86-64 and ARM64, and sources.
# Above each stand the parts that need it (tools/hashes.py). Made by `make constraints`; do not edit.
"""


def resolve(uv: str, requirements: Iterable[str], output: str, options: Sequence[str] = (), known: str = "") -> str:
    """What uv writes into a file named `output`, which has `known` at first: those versions are kept if they can be."""
    with tempfile.TemporaryDirectory() as folder:
        asked, answer = Path(folder, "requirements.in"), Path(folder, output)
        asked.write_text("\n".join(requirements))
        if known:
            answer.write_text(known)
        command = [uv, "pip", "compile", "--quiet", "--no-config", "--no-header", "--no-annotate", "--universal"]
        python = ["--python-version", PYTHONS[0], "--fork-strategy", "fewest"]
        subprocess.run([*command, *python, *options, asked, "--output-file", answer], cwd=folder, check=True)
        return answer.read_text()


def environments() -> Iterable[dict[str, str]]:
    """What markers are asked about: CPython on Linux."""
    for python in PYTHONS:
        for machine in MACHINES:
            yield {
                "implementation_name": "cpython",
                "implementation_version": python,
                "os_name": "posix",
                "platform_machine": machine,
                "platform_python_implementation": "CPython",
                "platform_system": "Linux",
                "python_full_version": python,
                "python_version": python.rpartition(".")[0],
                "sys_platform": "linux",
            }


def narrowed(marker: str) -> str | None:
    """`marker` itself; "" if it always holds where lbproxy runs, None if it never does."""
    if not marker:
        return ""
    holds = {Marker(marker).evaluate(environment) for environment in environments()}
    return marker if len(holds) > 1 else "" if holds == {True} else None


def pinned(text: str) -> dict[str, str]:
    """Of what uv wrote: canonical name and version as NAME==VERSION -> the marker; without what Linux never needs."""
    found = {}
    for line in text.splitlines():
        requirement, _, marker = line.partition(" ; ")
        if (needed := narrowed(marker.strip())) is not None:
            found[requirement.strip()] = needed
    return found


def fits(filename: str) -> bool:
    """Whether a wheel can be installed where lbproxy runs."""
    return any(_fits(tag) for tag in parse_wheel_filename(filename)[3])


def _fits(tag: Tag) -> bool:
    own = {"cp" + "".join(python.split(".")[:2]) for python in PYTHONS}
    if tag.platform != "any" and not (tag.platform.startswith("manylinux") and tag.platform.endswith(MACHINES)):
        return False
    return tag.interpreter.startswith("py3") or tag.abi == "abi3" or (tag.interpreter in own and tag.abi in own)


def digests(package: dict[str, Any]) -> list[str]:
    """The SHA-256 of each file of a package of pylock.toml that may be installed."""
    files = [wheel for wheel in package.get("wheels", ()) if fits(wheel["url"].rpartition("/")[2])]
    if "sdist" in package:
        files.append(package["sdist"])
    return sorted(one["hashes"]["sha256"] for one in files)


def write(pins: dict[str, str], needed_by: dict[str, list[str]], hashes: dict[str, list[str]], folder: Path) -> None:
    """Both files; each mapping is by NAME==VERSION."""
    versions, blocks = [], []
    for pin in sorted(pins):
        line = f"{pin} ; {pins[pin]}" if pins[pin] else pin
        versions.append(f"{line}\n")
        options = "".join(f" \\\n    --hash=sha256:{digest}" for digest in hashes[pin])
        blocks.append(f"\n# {' '.join(needed_by[pin])}\n{line}{options}\n")
    (folder / CONSTRAINTS).write_text(_VERSIONS_HEAD + "".join(versions))
    (folder / FILE).write_text(_HASHES_HEAD + "".join(blocks))


def main(uv: str, raised: Sequence[str]) -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    every = parts(pyproject)
    known = (ROOT / CONSTRAINTS).read_text() if raised else ""
    upgrades = [f"--upgrade-package={canonical(name)}" for name in raised]
    pins = pinned(resolve(uv, {line for part in every.values() for line in part}, CONSTRAINTS, upgrades, known))
    exactly = [f"{pin} ; {marker}" if marker else pin for pin, marker in pins.items()]
    needed_by: dict[str, list[str]] = {pin: [] for pin in pins}
    with tempfile.NamedTemporaryFile("w") as constraints:
        constraints.write("\n".join(exactly))
        constraints.flush()
        for part, requirements in every.items():
            for pin in pinned(resolve(uv, requirements, "part.txt", ["--constraints", constraints.name])).keys() & pins:
                needed_by[pin].append(part)
    lock = tomllib.loads(resolve(uv, exactly, "pylock.toml", ["--no-deps", "--format", "pylock.toml"]))
    hashes = {f"{one['name']}=={one['version']}": digests(one) for one in lock["packages"]}
    write(pins, needed_by, hashes, ROOT)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
