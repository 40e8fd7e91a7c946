"""A file of passwords: NAME:HASH on each line, the hash as argon2 writes it. # begins a comment."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from lbproxy import files
from lbproxy.errors import MissingExtraError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")

LONGEST = 1024
"""Bytes of a password."""

_MOST_MEMORY = 1 << 20
"""KiB that a hash may take to look at."""

_MOST_WORK = 16 << 20
"""KiB that are filled for it, pass by pass: some seconds."""


def is_name(name: str) -> bool:
    """Whether a name can be in the file: it can be taken for no principal and no subject."""
    return _NAME.fullmatch(name) is not None


def hasher() -> PasswordHasher:
    """With the parameters of RFC 9106, section 4, second choice. Raises MissingExtraError."""
    try:
        from argon2 import PasswordHasher
    except ImportError:
        raise MissingExtraError("signing in with a password", "dashboard") from None
    return PasswordHasher()


class Passwords:
    """What the file at `path` holds, read again when it changes."""

    def __init__(self, path: Path) -> None:
        """Raises ValueError with a sentence that names the file, and MissingExtraError."""
        self._path = path
        self._hasher = hasher()
        self._hashes = read(path)
        self._stamp = files.stamp(path)
        self._dummy = self._hash_like_them()
        self.changed: Callable[[Collection[str]], None] = lambda names: None

    def __repr__(self) -> str:
        return f"<{len(self._hashes)} passwords in {self._path}>"

    def refresh(self) -> None:
        """Read the file again if it has changed. Raises ValueError; then what was read before counts.

        `changed` is called with the names whose password is another one, or gone.
        """
        stamp = files.stamp(self._path)
        if stamp != self._stamp:
            self._stamp = stamp
            before, self._hashes = self._hashes, read(self._path)
            self._dummy = self._hash_like_them()
            self.changed({name for name, known in before.items() if self._hashes.get(name) != known})

    def knows(self, name: str) -> bool:
        """Whether there is such a name; whoever asks must not show it."""
        return name in self._hashes

    def verify(self, name: str, password: str) -> bool:
        """Whether it is the password of that name. It takes as long for a name that there is not."""
        from argon2.exceptions import VerificationError

        given = password.encode("utf-8", "replace")[: LONGEST + 1]
        try:
            matches = self._hasher.verify(self._hashes.get(name, self._dummy), given)
        except VerificationError:
            return False
        return matches and name in self._hashes and len(given) <= LONGEST

    def _hash_like_them(self) -> str:
        """Of a password that nobody knows, as costly as the first one of the file."""
        from argon2 import PasswordHasher, extract_parameters

        secret = secrets.token_bytes(32)
        for known in self._hashes.values():
            return PasswordHasher.from_parameters(extract_parameters(known)).hash(secret)
        return self._hasher.hash(secret)


def read(path: Path) -> dict[str, str]:
    """The hash of each name. Raises ValueError, which names the file and the line."""
    from argon2 import extract_parameters
    from argon2.exceptions import InvalidHashError

    found: dict[str, str] = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, colon, known = line.partition(":")
        if not (colon and is_name(name)):
            raise ValueError(f"{path}:{number}: not NAME:HASH; a name has letters, digits, '_', '.' and '-'")
        if name in found:
            raise ValueError(f"{path}:{number}: {name} is there twice")
        try:
            cost = extract_parameters(known)
        except (InvalidHashError, ValueError):
            raise ValueError(f"{path}:{number}: the hash of {name} is not argon2's") from None
        if cost.memory_cost > _MOST_MEMORY:
            raise ValueError(f"{path}:{number}: the hash of {name} takes more than 1 GiB to look at")
        if cost.memory_cost * cost.time_cost > _MOST_WORK:
            raise ValueError(f"{path}:{number}: the hash of {name} takes too long to look at; t is {cost.time_cost}")
        found[name] = known
    return found


def write(path: Path, name: str, password: str) -> bool:
    """Set the password of that name, whose line is made or changed: whether there was one. Raises ValueError, OSError.

    A new file is for its owner alone; one that is there keeps its owner and mode.
    """
    if not is_name(name):
        raise ValueError(f"{name!r} is not a name: letters, digits, '_', '.' and '-'")
    if not password or len(password.encode()) > LONGEST:
        raise ValueError(f"a password has 1 to {LONGEST} bytes")
    line = f"{name}:{hasher().hash(password)}"
    lines = _text(path).splitlines() if path.exists() else []
    kept = [one for one in lines if one.partition(":")[0].strip() != name]
    _replace(path, "\n".join([*kept, line]) + "\n")
    return len(kept) < len(lines)


def _replace(path: Path, text: str) -> None:
    descriptor, made = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            if path.exists():
                before = path.stat()
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
                os.fchmod(file.fileno(), before.st_mode & 0o7777)
        Path(made).replace(path)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise


def _text(path: Path) -> str:
    try:
        return files.read(path).decode()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: it is not UTF-8") from None
