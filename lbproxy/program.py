"""How lbproxy starts a process of its own: the one place that knows."""

from __future__ import annotations

import sys


def command(module: str, *arguments: str) -> list[str]:
    """The words that start `module` of lbproxy as the program of a process.

    sys.executable is the interpreter. In the one-file program it is that file, at the path where it was started:
    its start (tools/onefile/start.py) takes these options as the interpreter does, for modules of lbproxy only.
    """
    return [sys.executable, "-P", "-m", module, *arguments]  # -P: never import what lies in the working directory
