"""One target under libFuzzer: `python -m tests.fuzz.one TARGET [OPTION...] [FOLDER|FILE...]`, with libFuzzer's options.

With a file, that input is tried once: how a finding is looked at.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["lbproxy"], enable_loader_override=False):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    name, *arguments = sys.argv[1:]
    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()


main()
