"""Pydantic's errors in the words of an administrator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import takewhile
from types import MappingProxyType
from typing import get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lbproxy.config.keys import Location, full_name
from lbproxy.errors import Problem

_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "missing": "missing",
        "string_type": "must be a string",
        "int_type": "must be a whole number",
        "bool_type": "must be true or false",
        "tuple_type": "must be a list",
        "dict_type": "must be a table",
        "model_type": "must be a table",
        "literal_error": "must be {expected}",
        "greater_than": "must be more than {gt:g}",
        "greater_than_equal": "must be at least {ge}",
        "less_than_equal": "must be at most {le}",
        "value_error": "{error}",
    }
)
"""By pydantic's error type; the braces are filled from the error's context."""

_ANY = "NAME"

_MOST_OWNERS = 3
"""Tables that a misplaced key may belong to; of a key that more have, such as `path`, nothing can be said."""


def problems(error: ValidationError, model: type[BaseModel]) -> Iterator[Problem]:
    """A problem for each error in `error`, which came from validating a document as `model`."""
    for details in error.errors(include_url=False, include_input=False):
        location = tuple(part for part in details["loc"] if part != "[key]")
        unknown = details["type"] == "extra_forbidden"
        yield Problem(full_name(location), _unknown(location, model) if unknown else _text(details))


def _text(details: ErrorDetails) -> str:
    text = _TEXTS.get(details["type"])
    return details["msg"] if text is None else text.format_map(details.get("ctx", {}))


def _unknown(location: Location, model: type[BaseModel]) -> str:
    from difflib import get_close_matches  # only what is wrong has a use for it

    key, place, tables = str(location[-1]), location[:-1], dict(_tables(model))
    owners = [table for table, keys in tables.items() if key in keys]
    if 0 < len(owners) <= _MOST_OWNERS:
        return f"unknown key here; it belongs to {' or '.join(_title(table, place) for table in owners)}"
    here = next(keys for table, keys in tables.items() if len(table) == len(place) == _in_common(table, place))
    meant = get_close_matches(key, here, n=1)
    return f"unknown key; did you mean {meant[0]}?" if meant else "unknown key"


def _tables(model: type[BaseModel], where: Location = ()) -> Iterator[tuple[Location, list[str]]]:
    """Every table that a file may have, and its keys; in the location `_ANY` stands for a name, 0 for a position."""
    fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
    yield where, list(fields)
    for key, annotation in fields.items():
        origin = get_origin(annotation)
        entry: Location = (_ANY,) if origin is Mapping else (0,) if origin is tuple else ()
        for inner in _models_in(annotation):
            yield from _tables(inner, (*where, key, *entry))


def _in_common(table: Location, place: Location) -> int:
    """How many parts of `place`, from its beginning, are those of one of `_tables`."""
    pairs = zip(table, place, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] in (_ANY, pair[1]) or isinstance(pair[1], int), pairs))


def _title(table: Location, place: Location) -> str:
    """One of `_tables` for people, with the names that `place` has as far as both are the same."""
    shared = _in_common(table, place)
    named = place[:shared] + table[shared:]
    if not named:
        return "the top of the file"
    return f"an entry of {full_name(named[:-1])}" if isinstance(named[-1], int) else f"[{full_name(named)}]"


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
