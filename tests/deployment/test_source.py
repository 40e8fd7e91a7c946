"""What a build from the source says where nothing can be compiled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.hashes import ROOT

NEEDED = "lbproxy: a C compiler and Python's headers are needed, on Debian: apt install gcc libc6-dev python3-dev"


def setup(tree: Path, command: str, compiler: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "setup.py", tree)
    return subprocess.run(
        [sys.executable, "setup.py", "--quiet", command],
        cwd=tree,
        env={**os.environ, "CC": compiler},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("compiler", "why"),
    [("/none/gcc", "/none/gcc: No such file or directory"), ("gcc -nostdinc", "No such file or directory")],
    ids=["compiler", "headers"],
)
def test_one_line_says_what_is_needed_and_why(tmp_path: Path, compiler: str, why: str) -> None:
    done = setup(tmp_path, "build_ext", compiler)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"{NEEDED} (")
    assert line.endswith(f"{why})")


def test_the_metadata_needs_no_compiler(tmp_path: Path) -> None:
    (tmp_path / "lbproxy").mkdir()
    (tmp_path / "lbproxy" / "part.pyx").touch()
    done = setup(tmp_path, "egg_info", "/none/gcc")
    assert done.returncode == 0, done.stderr
