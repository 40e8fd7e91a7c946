"""The file's text, and the text as TOML."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from lbproxy import files
from lbproxy.errors import ConfigError, Problem

_POSITION = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def read_text(path: Path) -> str:
    """What the file at `path` holds. Raises ConfigError when it cannot be read, or is not UTF-8."""
    try:
        return files.read(path).decode("utf-8-sig")  # editors on Windows may put a byte order mark first
    except OSError as error:
        raise ConfigError(str(path), [Problem("cannot be read", error.strerror or str(error))]) from None
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), [Problem("cannot be read", f"byte {error.start} is not UTF-8")]) from None


def parse(path: Path, text: str) -> dict[str, Any]:
    """`text` as TOML. Raises ConfigError, which has the line of the mistake; `path` is what it calls the file."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), [_syntax_problem(str(error), text)]) from None
    except RecursionError:
        raise ConfigError(str(path), [Problem("not TOML", "lists or tables within each other, too deep")]) from None


def _syntax_problem(message: str, text: str) -> Problem:
    """tomllib says where in its message; "end of document" is the last line."""
    match = _POSITION.search(message)
    line = int(match[1]) if match and match[1] else len(text.splitlines())
    what = _POSITION.sub("", message)
    if "Cannot overwrite" in what or "twice" in what:
        what = f"a key or table that the file has already ({what})"
    return Problem("not TOML", what, line)
