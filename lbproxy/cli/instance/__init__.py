"""`lbproxy instance`: one module a command, imported only when it is used."""

from __future__ import annotations

from lbproxy.cli.group import LazyGroup

COMMANDS = {
    "pack": "Put an instance into one file, sealed.",
    "apply": "Make an instance of a pack, or undo that.",
    "diff": "Say where two instances differ, and what users notice of it.",
    "facts": "Show or serve what the consistency guard compares.",
}
"""Name -> the line in `lbproxy instance --help`."""

command = LazyGroup(
    name="instance",
    package=__name__,
    summaries=COMMANDS,
    help="Make connectors of one, and find where they differ. Run it on connectors' hosts.",
)
