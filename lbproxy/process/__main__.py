"""What the processes of lbproxy are started by, each with a first argument that says which one it is.

master FILE                  `lbproxy run` becomes it
resume DESCRIPTOR            the same after USR2
generation CHANNEL N FILE [DESCRIPTOR]
                             started by the master, with a channel to it; DESCRIPTOR is read in the place of FILE
rehearse [DESCRIPTOR]        nothing, if it can be imported, and understands what a master would leave to it
"""

from __future__ import annotations

import sys
from pathlib import Path

from lbproxy.process.imports import quick_imports


def main(role: str, *arguments: str) -> int:
    """The exit status."""
    match role, arguments:
        case "master", [path]:
            with quick_imports():
                from lbproxy.process.master import main as master

            return master.begin(Path(path))
        case "resume", [descriptor]:
            with quick_imports():
                from lbproxy.process.master import main as master

            return master.go_on(int(descriptor))
        case "generation", [channel, number, path, *texts]:
            with quick_imports():
                from lbproxy.process.generation import main as generation

            return generation.main(int(channel), int(number), Path(path), *map(int, texts))
        case "rehearse", [*descriptors]:
            with quick_imports():
                from lbproxy.errors import LbproxyError
                from lbproxy.process.rehearsal import rehearse

            try:
                rehearse(*map(int, descriptors))
            except LbproxyError as error:
                raise SystemExit(str(error)) from None
            return 0
    raise SystemExit(f"unknown role {role}")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
