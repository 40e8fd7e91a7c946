"""One target under libFuzzer: `python -m tests.fuzz.one TARGET PROGRAM [OPTION...] [FOLDER|FILE...]`.

PROGRAM is what libFuzzer starts for a part of its work, with libFuzzer's options alone: it calls this again.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["lbproxy"], enable_loader_override=False):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    name, *arguments = sys.argv[1:]
    atheris.Setup(arguments, TARGETS[name])
    atheris.Fuzz()


main()
