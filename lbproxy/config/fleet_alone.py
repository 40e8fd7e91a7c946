"""[fleet] alone, for `lbproxy register`: the file of a connector's host may hold nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lbproxy.config import messages
from lbproxy.config.checks import fleet as checks
from lbproxy.config.environment import expand, leave_out_empty
from lbproxy.config.keys import Location
from lbproxy.config.lines import Lines
from lbproxy.config.loading import first_of_each_key
from lbproxy.config.models import Base, Fleet, Table
from lbproxy.config.toml import parse, read_text
from lbproxy.errors import ConfigError, Problem


class _File(Table):
    fleet: Fleet


def fleet(path: Path, environ: Mapping[str, str] = os.environ) -> Fleet:
    """[fleet] of the TOML file at `path`; its other tables are not judged. Raises ConfigError with every problem."""
    problems: list[Problem] = []
    left_out: list[Location] = []
    text = read_text(path)
    table = {key: value for key, value in parse(path, text).items() if key == "fleet"}
    document: Any = expand(leave_out_empty(table, environ, left_out), environ, problems)
    problems += checks.problems(document)
    try:
        found = _File.model_validate(document, context=Base(path.absolute().parent)).fleet
    except ValidationError as error:
        problems += messages.problems(error, _File)
    if problems:
        raise ConfigError(str(path), list(Lines(text, left_out).located(first_of_each_key(problems))))
    return found
