"""krb5.conf (krb5.conf(5)): the file, what it includes, and the few settings that decide over names and KDCs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lbproxy import files

_DEFAULT = "/etc/krb5.conf"
_INCLUDED = re.compile(r"[A-Za-z0-9_-]+|(?!\.).+\.conf")
_DEEPEST = 5  # files that include each other

Section = dict[str, list[str]]


@dataclass(slots=True)
class Krb5Conf:
    """`libdefaults` and `realms` map a setting to its values, in their order. `troubles`: files that cannot be read."""

    paths: list[Path] = field(default_factory=list)
    libdefaults: Section = field(default_factory=dict)
    realms: dict[str, Section] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)

    def setting(self, name: str, default: str = "") -> str:
        """Of [libdefaults]; of several the first one counts."""
        return self.libdefaults.get(name, [default])[0]

    def flag(self, name: str, default: bool) -> bool:
        """The same as yes or no; a word that is neither, such as fallback, is the default."""
        word = self.setting(name).lower()
        if word in ("true", "yes", "y", "t", "1", "on"):
            return True
        return False if word in ("false", "no", "n", "nil", "0", "off") else default

    def kdcs(self, realm: str) -> list[str]:
        """As they are written: host, host:port or [v6]:port."""
        return self.realms.get(realm, {}).get("kdc", [])


def read_krb5_conf(environ: Mapping[str, str] = os.environ) -> Krb5Conf:
    """What KRB5_CONFIG names, or /etc/krb5.conf. What cannot be read is among its `troubles`."""
    found = Krb5Conf()
    for name in environ.get("KRB5_CONFIG", _DEFAULT).split(":"):
        path = Path(name)
        if path.is_dir():
            for one in _of_directory(path):
                _read(found, one, 0)
        else:
            _read(found, path, 0)
    return found


def _of_directory(path: Path) -> Iterator[Path]:
    try:
        yield from sorted(one for one in path.iterdir() if _INCLUDED.fullmatch(one.name))
    except OSError:
        return


def _read(found: Krb5Conf, path: Path, depth: int) -> None:
    if depth > _DEEPEST:
        found.troubles.append(f"{path}: too many files include each other")
        return
    try:
        text = files.read(path).decode("utf-8", "replace")
    except OSError as error:
        found.troubles.append(f"{path}: {error.strerror}")
        return
    found.paths.append(path)
    section, inside = "", ""
    for line in text.splitlines():
        words = line.strip()
        if not words or words[0] in "#;":
            continue
        directive, _, argument = words.partition(" ")
        if directive == "include":
            _read(found, Path(argument.strip()), depth + 1)
        elif directive == "includedir":
            for one in _of_directory(Path(argument.strip())):
                _read(found, one, depth + 1)
        elif heading := re.match(r"\[([^\]]+)\]", words):
            section, inside = heading[1], ""
        else:
            inside = _setting(found, section, inside, words)


def _setting(found: Krb5Conf, section: str, inside: str, words: str) -> str:
    """Takes a line down; returns the name of the { } that it leaves open."""
    if words.startswith("}"):
        return ""
    name, _, value = (part.strip() for part in words.partition("="))
    name, value = name.rstrip("*").strip(), value.strip('"')
    if value.endswith("{"):
        return name
    if section == "libdefaults" and not inside:
        found.libdefaults.setdefault(name, []).append(value)
    elif section == "realms" and inside:
        found.realms.setdefault(inside, {}).setdefault(name, []).append(value)
    return inside
