"""Files of variables that a service is started with, as EnvironmentFile= of systemd reads them (systemd.exec(5))."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lbproxy.errors import InstanceError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]*")

_QUOTED = r"""'[^']*'|"[^"\\]*+(?:\\.[^"\\]*+)*\""""
_ITEM = re.compile(
    rf"""
    [ \t\r\n]+ | [#;][^\r\n]*
    | (?P<name>[^=\r\n]*)=
      (?P<quoted>(?:[ \t]*(?:{_QUOTED}))*)
      [ \t]*(?P<bare>(?:[ \t]*(?:\\(?:.|\Z)|[^\\\r\n \t]))*)[ \t]*
    | (?P<wrong>[^\r\n]+)
    """,
    re.VERBOSE | re.DOTALL,
)
"""What such a file is a sequence of: whatever the file is, every character of it belongs to one of these.

No group is repeated possessively: Python before 3.11.5, as in Debian 12, gets that wrong (gh-106052).
"""


def parse(content: bytes, where: str) -> dict[str, str]:
    """The variables. Raises InstanceError, also where systemd goes on: a line without "=", a quote that is not closed.

    A value is '...' or "...", which may have line breaks, or the rest of the line. A backslash is kept in '...'; in
    "..." it is dropped before one of "\\$` only; elsewhere always. A line break after such a one is dropped too.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise InstanceError(f"{where}: is not UTF-8") from None
    if "\0" in text:
        raise InstanceError(f"{where}: has a NUL character")
    found: dict[str, str] = {}
    for item in _ITEM.finditer(text):
        name, bare = item["name"], item["bare"] or ""
        if name is None and item["wrong"] is None:
            continue
        name = (name or "").removeprefix("export ").strip(" \t")
        if not _NAME.fullmatch(name):
            raise InstanceError(f"{_line(where, item)}: is not NAME=VALUE")
        if bare[:1] in ("'", '"'):
            raise InstanceError(f"{_line(where, item)}: the value begins with {bare[0]} and does not end with it")
        found[name] = "".join(map(_unquoted, re.findall(_QUOTED, item["quoted"], re.DOTALL))) + _unescaped(bare)
    return found


def _line(where: str, item: re.Match[str]) -> str:
    return f"{where}, line {item.string.count(chr(10), 0, item.start()) + 1}"


def _unquoted(value: str) -> str:
    inside = value[1:-1]
    if value[0] == "'":
        return inside
    return re.sub(r'\\(["\\$`\n])', lambda escape: escape[1].strip("\n"), inside)


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.?)", lambda escape: escape[1].strip("\r\n"), value, flags=re.DOTALL)


def render(variables: Mapping[str, str]) -> bytes:
    """A file that both systemd and a POSIX shell read as these."""
    lines = []
    for name, value in variables.items():
        escaped = value if _PLAIN.fullmatch(value) else '"' + re.sub(r'([\\"$`])', r"\\\1", value) + '"'
        lines.append(f"{name}={escaped}\n")
    return "".join(lines).encode()
