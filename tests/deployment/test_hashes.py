"""hashes.txt: what it says is what pyproject.toml and constraints.txt say, and pip refuses every other file."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools.hashes import ROOT, canonical, entries, lines, parts
from tools.lock import digests, fits, narrowed, pinned, write

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
HASHES = (ROOT / "hashes.txt").read_text()
NOT_INSTALLED = {"bench", "docs", "fuzz", "dist", "freeze", "lock"}
"""Parts that `make test` does without."""


def versions(text: str) -> dict[str, str]:
    """Of the lines NAME==VERSION of a file."""
    found = re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)
    return {canonical(name): version for name, version in found}


def test_it_pins_what_the_constraints_pin() -> None:
    assert versions(HASHES) == versions((ROOT / "constraints.txt").read_text())
    assert len(entries(HASHES)) == len(versions(HASHES))


def test_each_package_has_digests_and_the_file_names_no_address() -> None:
    for needed_by, name, text in entries(HASHES):
        assert needed_by, name
        assert re.fullmatch(r"\S+==[^\\\n]+( \\\n    --hash=sha256:[0-9a-f]{64})+\n", text), name
    assert "://" not in HASHES
    assert not re.search("^-", HASHES, re.MULTILINE)


def test_the_versions_are_those_that_pyproject_asks_for() -> None:
    pins = versions(HASHES)
    asked = [Requirement(line) for part in parts(PYPROJECT).values() for line in part]
    assert not [str(one) for one in asked if not one.specifier.contains(pins[canonical(one.name)], prereleases=True)]


def closure(requirements: Iterable[str]) -> set[str]:
    """The names of all packages that these need on this Python, as the installed ones say."""
    found: set[str] = set()
    todo = [Requirement(line) for line in requirements]
    seen = set()
    while todo:
        one = todo.pop()
        if str(one) in seen:
            continue
        seen.add(str(one))
        found.add(canonical(one.name))
        for line in distribution(one.name).requires or ():
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *one.extras)):
                todo.append(needed)
    return found


@pytest.mark.parametrize("part", sorted(parts(PYPROJECT).keys() - NOT_INSTALLED))
def test_a_part_has_all_that_its_packages_need(part: str) -> None:
    """`--no-deps` installs the lines of a part and nothing else."""
    assert closure(parts(PYPROJECT)[part]) <= versions(lines([part], PYPROJECT, HASHES)).keys()


def test_a_part_that_is_not_there_and_one_that_is_not_whole_are_named() -> None:
    with pytest.raises(ValueError, match="there is no part 'kerbeross', but: build, run, kerberos"):
        lines(["kerbeross"], PYPROJECT, HASHES)
    without = "".join(f"# {' '.join(needed_by)}\n{text}" for needed_by, name, text in entries(HASHES) if name != "yarl")
    with pytest.raises(ValueError, match=r"hashes\.txt lacks yarl, .* run: make constraints ONLY=yarl"):
        lines(["run"], PYPROJECT, without)


# --- pip refuses


def wheel(folder: Path) -> Path:
    """A package of one empty module."""
    made = folder / "sample-1.0-py3-none-any.whl"
    info = "sample-1.0.dist-info"
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("sample.py", "")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"sample.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return made


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A project that needs `sample`, with the tools that prepare it and an environment."""
    (tmp_path / "tools").mkdir()
    for name in ("prepare", "hashes.py"):
        shutil.copy(ROOT / "tools" / name, tmp_path / "tools")
    (tmp_path / "pyproject.toml").write_text("""\
[build-system]
requires = []
[project]
dependencies = []
optional-dependencies = { extra = ["sample"] }
[dependency-groups]
""")
    environment = tmp_path / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    pip = environment / "bin" / "pip"
    pip.write_text(f'#!/bin/sh\nexec {sys.executable} -m pip --python {environment}/bin/python "$@"\n')
    pip.chmod(0o755)
    return tmp_path


def prepare(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tree / "tools" / "prepare", "extra", "extra"],
        env={"PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tree), "PIP_CONFIG_FILE": "/dev/null"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_file_with_another_digest_is_refused(tree: Path) -> None:
    digest = hashlib.sha256(wheel(tree).read_bytes()).hexdigest()
    write({"sample==1.0": ""}, {"sample==1.0": ["extra"]}, {"sample==1.0": ["0" * 64]}, tree)
    done = prepare(tree)
    assert done.returncode == 1
    assert f"Got        {digest}" in done.stderr
    assert done.stderr.splitlines()[-1].startswith(
        "make: the package registry gave a file that hashes.txt does not name (above): nothing of it was installed"
    )
    assert not [*tree.glob(".venv/lib/python3*/site-packages/sample.py")]

    write({"sample==1.0": ""}, {"sample==1.0": ["extra"]}, {"sample==1.0": [digest]}, tree)
    done = prepare(tree)
    assert done.returncode == 0, done.stderr
    assert [*tree.glob(".venv/lib/python3*/site-packages/sample.py")]


# --- how it is made


@pytest.mark.parametrize(
    ("marker", "needed"),
    [
        ("", ""),
        ("platform_python_implementation != 'PyPy'", ""),
        ("sys_platform == 'win32'", None),
        ("python_full_version < '3.12'", "python_full_version < '3.12'"),
    ],
)
def test_markers_that_say_nothing_on_linux_are_left_out(marker: str, needed: str | None) -> None:
    assert narrowed(marker) == needed


def test_what_only_other_systems_need_is_left_out() -> None:
    assert pinned("a==1\ncolorama==0.4.6 ; sys_platform == 'win32'\nb==2 ; python_version < '3.13'\n") == {
        "a==1": "",
        "b==2": "python_version < '3.13'",
    }


@pytest.mark.parametrize(
    ("filename", "fit"),
    [
        ("a-1-py3-none-any.whl", True),
        ("a-1-py2.py3-none-any.whl", True),
        ("a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", True),
        ("a-1-cp39-abi3-manylinux_2_28_aarch64.whl", True),
        ("a-1-py3-none-manylinux1_x86_64.whl", True),
        ("a-1-cp310-cp310-manylinux_2_17_x86_64.whl", False),
        ("a-1-cp313-cp313t-manylinux_2_17_x86_64.whl", False),
        ("a-1-cp311-cp311-manylinux_2_17_s390x.whl", False),
        ("a-1-cp311-cp311-musllinux_1_2_x86_64.whl", False),
        ("a-1-cp311-abi3-win_amd64.whl", False),
        ("a-1-py3-none-macosx_11_0_arm64.whl", False),
    ],
)
def test_digests_are_of_files_that_can_be_installed(filename: str, fit: bool) -> None:
    assert fits(filename) == fit
    package = {"sdist": {"hashes": {"sha256": "s"}}, "wheels": [{"url": f"f/{filename}", "hashes": {"sha256": "w"}}]}
    assert digests(package) == (["s", "w"] if fit else ["s"])
