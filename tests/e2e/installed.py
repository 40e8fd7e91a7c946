"""An installation of lbproxy whose program is replaced while it runs: the release before, and the tree under test."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .surroundings import ROOT, Surroundings

BEFORE = "5f77af4"
"""The commit of the release before."""


class Installation:
    """`link` is where Python finds lbproxy; what it points to is the program that is installed now."""

    def __init__(self, folder: Path, tree: Path) -> None:
        self.link = folder / "installed"
        self.link.symlink_to(tree)
        # Not what lies in the working directory, and before what is installed beside this Python.
        self.around = Surroundings(environment={"PYTHONPATH": str(self.link), "PYTHONSAFEPATH": "1"})

    def install(self, tree: Path) -> None:
        """Put that tree in the place of the one that is there, as a package manager does: at once."""
        following = self.link.with_suffix(".new")
        following.symlink_to(tree)
        following.replace(self.link)


def release_before() -> Path:
    """The tree of BEFORE, compiled. It is made once, in build/, from the objects of Git; skips without them."""
    tree = ROOT / "build" / f"release-{BEFORE}"
    tree.parent.mkdir(exist_ok=True)
    with tree.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (tree / "compiled").exists():
            shutil.rmtree(tree, ignore_errors=True)
            tree.mkdir()
            _export(tree)
            _compile(tree)
    return tree


def _export(tree: Path) -> None:
    archive = subprocess.run(
        ["git", "archive", BEFORE, "lbproxy", "setup.py", "pyproject.toml", "README.md", "LICENSE"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        pytest.skip(f"no commit {BEFORE} here: {archive.stderr.decode().strip()}")
    subprocess.run(["tar", "x"], cwd=tree, input=archive.stdout, check=True)


def _compile(tree: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (tree / "compiled").touch()
