"""The exceptions of lbproxy, as a tree.

    LbproxyError
    ├── ConfigError         the administrator's: the configuration cannot be used; carries every problem at once
    ├── StartError          the administrator's or the machine's: a valid configuration cannot be put to work
    ├── MissingExtraError   the installation's: an optional dependency is needed; names the extra to install
    ├── MessageError        lbproxy's own: a process got a message that it cannot read, from one of another version
    ├── AdminError          the operator's: a command that the running balancer refused, or could not receive
    ├── RolloutError        the operator's: a rolling update that must not begin, or that stopped
    └── InstanceError       the administrator's: an installation of a connector, or a pack of one, that cannot be used

What goes wrong on the data path is not raised but ended with a row of `lbproxy.reasons`, which
says whose fault it is, whether a retry is safe and which HTTP status the client gets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class LbproxyError(Exception):
    """Base of every error that lbproxy raises on purpose; its text is fit for an administrator."""


class Problem(NamedTuple):
    """One thing that is wrong with a configuration: `where` is a key's full name; `line` is that of the key, from 1."""

    where: str
    text: str
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"

    def in_file(self, path: str, kind: str = "") -> str:
        """For people and their editors: FILE:LINE: KEY: TEXT, with a `kind` such as "warning: " before the text."""
        place = path if self.line is None else f"{path}:{self.line}"
        return f"{place}: {self.where}: {kind}{self.text}"


class ConfigError(LbproxyError):
    """The configuration file at `path` cannot be used; `problems` holds every reason, not only the first."""

    def __init__(self, path: str, problems: Sequence[Problem]) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.in_file(path) for problem in self.problems))


class StartError(LbproxyError):
    """A valid configuration could not be put to work (an address in use, a key that does not fit)."""


class MessageError(LbproxyError):
    """A message between two processes that cannot be read: the text names the message and the field."""


class MissingExtraError(LbproxyError):
    """An optional dependency is missing; `extra` names what to install."""

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} needs an optional part: install lbproxy[{extra}]")


class AdminError(LbproxyError):
    """A command that the running balancer refused, or that could not reach it."""


class RolloutError(LbproxyError):
    """A rolling update that must not begin, or that stopped; then it also says what that leaves, a line each."""


class InstanceError(LbproxyError):
    """An installation of a connector, or a pack of one, that cannot be used; a line for each reason."""


class MigrationError(LbproxyError):
    """The configuration of another proxy cannot be read: the text names the file and the line."""
