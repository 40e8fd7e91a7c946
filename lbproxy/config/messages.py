"""Pydantic's errors in the words of an administrator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
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
    meant = get_close_matches(str(location[-1]), _keys_at(location[:-1], model), n=1)
    return f"unknown key; did you mean {meant[0]}?" if meant else "unknown key"


def _keys_at(location: Location, model: type[BaseModel]) -> list[str]:
    """The keys that the table at `location` may have."""
    steps = iter(location)
    for step in steps:
        fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
        annotation = fields[str(step)]
        if get_origin(annotation) in (Mapping, tuple):
            next(steps)  # the entry's name or position
        model = next(_models_in(annotation))
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
