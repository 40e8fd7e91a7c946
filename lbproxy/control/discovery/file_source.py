"""`kind = "file"`: a file with a list of backends, which is watched."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lbproxy import files
from lbproxy.balance.member import Member
from lbproxy.control.discovery.backend_list import parse_list
from lbproxy.control.discovery.source import Answer, Source, SourceError

GLANCE = 0.25
"""Seconds between two looks at whether the file is another one. A look works on every file system; inotify does not."""

RESTLESS = 1.0
"""Seconds since the last answer, after which a file that was renamed into place is read though it was just now."""


def read_members(path: Path) -> tuple[Member, ...]:
    """Those that the file at `path` lists. Raises SourceError when it cannot be read, or is no list of backends."""
    try:
        content = files.read(path)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None
    try:
        return parse_list(content, toml=path.suffix.lower() == ".toml")
    except ValueError as error:
        raise SourceError(f"{path}: {error}") from None


class FileSource(Source):
    """The file at `path`: TOML if its name ends in .toml, else JSON. A link is followed, to another file too."""

    name = "file-list"  # "file" is the configuration file

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path
        self._read: files.Stamp | None = None  # what was read last
        self._read_at = 0.0  # on the loop's clock

    def __repr__(self) -> str:
        return f"<file source {self.where}>"

    async def look(self, again: bool = False) -> Answer:
        """What the file holds. Raises SourceError when it cannot be read, or is no list of backends."""
        self._read, self._read_at = files.stamp(self._path), asyncio.get_running_loop().time()
        return Answer(await asyncio.to_thread(read_members, self._path))

    async def wait(self, seconds: float) -> None:
        """Return earlier when the file is another one, and has been for two looks: it may be half written.

        Where another one is renamed into place all the time, a second look never finds the same.
        """
        loop = asyncio.get_running_loop()
        until, before = loop.time() + seconds, self._read
        while loop.time() < until:
            await asyncio.sleep(min(GLANCE, max(0.0, until - loop.time())))
            now = files.stamp(self._path)
            if now == before and now != self._read:
                return
            if now and before and now[:2] != before[:2] and loop.time() - self._read_at >= RESTLESS:
                return
            before = now
