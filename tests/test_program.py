"""How a process of lbproxy's own is started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lbproxy import __version__
from lbproxy.program import command


def test_a_command_is_this_interpreter_with_the_module_and_its_arguments() -> None:
    assert command("lbproxy.process", "rehearse") == [sys.executable, "-P", "-m", "lbproxy.process", "rehearse"]


def test_a_command_imports_nothing_that_lies_in_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "lbproxy.py").write_text("print('not ours')")
    (tmp_path / "click.py").write_text("print('not ours')")
    said = subprocess.run(
        command("lbproxy", "--version"), cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert said == f"lbproxy, version {__version__}\n"
