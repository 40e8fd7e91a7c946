"""${NAME} and ${NAME-default} in the strings of the file."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lbproxy.config.keys import Location, full_name
from lbproxy.errors import Problem

_REFERENCE = re.compile(r"\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?:-([^}]*))?\})?")
"""A reference, or a lone ${ in which no group matches."""


def expand(value: object, environ: Mapping[str, str], problems: list[Problem], location: Location = ()) -> object:
    """A copy of `value` with the references in its strings (not in its keys) replaced from `environ`.

    As in a shell, the default stands in for a variable that is not set, not for an empty one. What cannot be expanded
    is added to `problems` and left as it is.
    """
    if isinstance(value, str):
        return _expand_string(value, environ, problems, location)
    if isinstance(value, dict):
        return {key: expand(inner, environ, problems, (*location, key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [expand(inner, environ, problems, (*location, index)) for index, inner in enumerate(value)]
    return value


def _expand_string(text: str, environ: Mapping[str, str], problems: list[Problem], location: Location) -> str:
    def replace(match: re.Match[str]) -> str:
        name, default = match.groups()
        if name is None:
            problems.append(Problem(full_name(location), "${ must be written ${NAME} or ${NAME-default}"))
        elif name in environ:
            return environ[name]
        elif default is not None:
            return default
        else:
            problems.append(Problem(full_name(location), f"the environment variable {name} is not set"))
        return match[0]

    return _REFERENCE.sub(replace, text)
