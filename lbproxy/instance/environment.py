"""Files of variables that a service is started with, as EnvironmentFile= of systemd reads them (systemd.exec(5))."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lbproxy.errors import InstanceError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_BARE = re.compile(r"[A-Za-z0-9_@%+=:,./-]*")


def parse(content: bytes, where: str) -> dict[str, str]:
    """The variables. A value may be in '...' or "...", and go on after a backslash. Raises InstanceError."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise InstanceError(f"{where}: is not UTF-8") from None
    found: dict[str, str] = {}
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        while stripped.endswith("\\") and (more := next(lines, None)) is not None:
            stripped = stripped[:-1] + more[1].strip()
        name, equals, value = stripped.removeprefix("export ").partition("=")
        if not equals or not _NAME.fullmatch(name.strip()):
            raise InstanceError(f"{where}, line {number}: is not NAME=VALUE")
        found[name.strip()] = _unquoted(value.strip(), f"{where}, line {number}")
    return found


def _unquoted(value: str, where: str) -> str:
    quote = value[:1]
    if quote not in ("'", '"'):
        return value
    if len(value) < 2 or not value.endswith(quote):
        raise InstanceError(f"{where}: the value begins with {quote} and does not end with it")
    inside = value[1:-1]
    return inside if quote == "'" else re.sub(r"\\(.)", r"\1", inside)


def render(variables: Mapping[str, str]) -> bytes:
    """A file that both systemd and a POSIX shell read as these. Raises InstanceError for a value with a line break."""
    lines = []
    for name, value in variables.items():
        if "\n" in value or "\r" in value:
            raise InstanceError(f"{name}: a value with a line break cannot be in such a file")
        escaped = value if _BARE.fullmatch(value) else '"' + re.sub(r'([\\"$`])', r"\\\1", value) + '"'
        lines.append(f"{name}={escaped}\n")
    return "".join(lines).encode()
