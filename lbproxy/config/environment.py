"""${NAME} and ${NAME-default} in the strings of the file."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lbproxy.config.keys import Location, full_name
from lbproxy.errors import Problem

_REFERENCE = re.compile(r"\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?:-([^}]*))?\})?")
"""A reference, or a lone ${ in which no group matches."""


def leave_out_empty(
    value: object, environ: Mapping[str, str], left_out: list[Location], location: Location = ()
) -> object:
    """A copy of `value`, not yet expanded, without the entries of lists that would become empty.

    An entry is a string, or a table by its `url`: so a file can name more backends than an environment has. Where each
    was is added to `left_out`. What is written as "" stays, to be refused.
    """
    if isinstance(value, dict):
        return {key: leave_out_empty(inner, environ, left_out, (*location, key)) for key, inner in value.items()}
    if not isinstance(value, list):
        return value
    kept = []
    for position, inner in enumerate(value):
        place = (*location, position)
        if _becomes_empty(inner.get("url") if isinstance(inner, dict) else inner, environ):
            left_out.append(place)
        else:
            kept.append(leave_out_empty(inner, environ, left_out, place))
    return kept


def _becomes_empty(value: object, environ: Mapping[str, str]) -> bool:
    return isinstance(value, str) and value != "" and expand(value, environ, []) == ""


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
