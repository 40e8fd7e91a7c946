"""A change of one file, and how the files that were there before are written down, so that a change can be undone."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import Base64Bytes, BaseModel

from lbproxy.errors import InstanceError
from lbproxy.instance import reading


class Change(NamedTuple):
    """The file `name`, in `below` a `directory`, gets this content, mode and owner; without content it is removed."""

    directory: Path
    below: str
    name: str
    content: bytes | None
    mode: int = 0o600
    uid: int = -1
    gid: int = -1

    @property
    def path(self) -> Path:
        """For people."""
        return self.directory / self.below / self.name

    def is_made(self, now: Change) -> bool:
        """Whether the file is so `now`."""
        return self.content == now.content and (self.content is None or self[4:] == now[4:])


def current(change: Change) -> Change:
    """The same file as it is now. Raises InstanceError for what is no regular file, or behind a link."""
    try:
        with reading.opened(change.directory, change.below) as at:
            content, found = reading.read_at(at, change.name)
    except FileNotFoundError:
        return change._replace(content=None)
    except OSError as error:
        raise InstanceError(f"{change.path}: {reading.reason(error)}") from None
    return change._replace(content=content, mode=stat.S_IMODE(found.st_mode), uid=found.st_uid, gid=found.st_gid)


class _Saved(BaseModel):
    directory: str
    below: str
    name: str
    there: bool
    mode: int
    uid: int
    gid: int
    content: Base64Bytes


class _Files(BaseModel):
    files: list[_Saved]


def encode(files: Sequence[Change]) -> bytes:
    """JSON, with secrets in it."""
    entries = [
        _Saved.model_construct(
            directory=str(one.directory),
            below=one.below,
            name=one.name,
            there=one.content is not None,
            mode=one.mode,
            uid=one.uid,
            gid=one.gid,
            content=one.content or b"",
        )
        for one in files
    ]
    return _Files.model_construct(files=entries).model_dump_json(warnings=False).encode()


def decode(encoded: bytes) -> list[Change]:
    """What `encode` was given. Raises ValidationError."""
    return [
        Change(Path(one.directory), one.below, one.name, one.content if one.there else None, one.mode, one.uid, one.gid)
        for one in _Files.model_validate_json(encoded).files
    ]


def digest(content: bytes | None) -> str:
    """SHA-256 of a file; "" for one that is not there."""
    return "" if content is None else hashlib.sha256(content).hexdigest()
