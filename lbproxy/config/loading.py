"""Reading the file: the steps in order, and every problem of all of them in one error."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from lbproxy.config import checks, messages
from lbproxy.config.addresses import origin, url_host
from lbproxy.config.environment import expand, leave_out_empty
from lbproxy.config.keys import Location
from lbproxy.config.lines import Lines
from lbproxy.config.models import Base, Config
from lbproxy.config.toml import parse, read_text
from lbproxy.errors import ConfigError, Problem


def load(path: Path, environ: Mapping[str, str] = os.environ, text: str | None = None) -> Config:
    """The configuration in the TOML file at `path`, with `environ` for its ${NAME} references.

    text: what the file holds, if that is known; it is not read then.

    Relative paths in it are taken below the file's directory. What is in it for nothing is in `warnings` of the
    configuration. Raises ConfigError with every problem at once.
    """
    problems: list[Problem] = []
    text = read_text(path) if text is None else text
    left_out: list[Location] = []
    written = leave_out_empty(parse(path, text), environ, left_out)
    document: Any = expand(written, environ, problems)
    lines = Lines(text, left_out)
    problems += checks.problems(document)
    config, model_problems = _validate(document, Base(path.absolute().parent))
    problems += model_problems
    if config is None or problems:
        raise ConfigError(str(path), list(lines.located(first_of_each_key(problems))))
    return config.read_from(lines, first_of_each_key(checks.warnings(document)))


def _validate(document: dict[str, Any], base: Base) -> tuple[Config | None, list[Problem]]:
    try:
        return Config.model_validate(_with_hosts(document), context=base), []
    except ValidationError as error:
        return None, list(messages.problems(error, Config))


def _with_hosts(document: dict[str, Any]) -> dict[str, Any]:
    """`document` with the default of `hosts`, which is the host of server_url, in each http listener without any."""
    listeners = document.get("listener")
    try:
        server_url = origin(document.get("server_url"), ("http", "https"))
    except ValueError:
        return document
    if not isinstance(listeners, dict):
        return document
    hosts = {"hosts": [url_host(urlsplit(server_url))]}
    filled = {name: hosts | table if _is_http(table) else table for name, table in listeners.items()}
    return document | {"listener": filled}


def _is_http(listener: object) -> bool:
    return isinstance(listener, dict) and listener.get("mode", "http") == "http"


def first_of_each_key(problems: Iterable[Problem]) -> Iterator[Problem]:
    """One problem a key: a later step often stumbles over what an earlier one has refused."""
    seen = set()
    for problem in problems:
        if problem.where not in seen:
            seen.add(problem.where)
            yield problem
