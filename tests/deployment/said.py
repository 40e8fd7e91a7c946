"""What a program says on its standard error, as a test waits for it."""

from __future__ import annotations

import subprocess


class Speaker:
    """A process, and the lines that were read of it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.seen: list[str] = []

    def until(self, text: str) -> None:
        """Wait until it has said `text`."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.seen.append(line)
            if text in line:
                return
        raise AssertionError(f"it ended without {text!r}:\n{''.join(self.seen)}")
