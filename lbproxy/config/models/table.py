"""What every table shares, and where its relative paths begin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationInfo


class Table(BaseModel):
    """A table of the file: unknown keys are errors and values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class Base:
    """The validation context: the directory that relative paths are below."""

    directory: Path


def directory(info: ValidationInfo) -> Path:
    """The directory in the validation context, for a validator of one value."""
    assert isinstance(info.context, Base), "models are validated by load(), which passes a Base"
    return info.context.directory
