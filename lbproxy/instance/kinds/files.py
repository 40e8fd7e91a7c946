"""Any other connector: a list of paths below a directory, which have to be the same on all instances."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from lbproxy.errors import InstanceError
from lbproxy.instance import digests, reading
from lbproxy.instance.model import Area, File, Findings, Instance, Openness, Value, Where

_HARM = "The instances do not have the same files, so users may be served in different ways."


class Files:
    """See `Kind`. What --secret names is told by keyed digests only, for which --digest-key is needed."""

    name = "files"
    aspects = {"files": _HARM, "secrets": _HARM}  # noqa: RUF012  # a constant
    parts: dict[str, str] = {}  # noqa: RUF012

    def gather(self, where: Where, new: bool = False) -> list[File]:
        """See `Kind`."""
        if not where.paths and not where.secrets and not new:
            raise InstanceError("the kind files needs a list: add --path PATH or --secret PATH for each")
        found: dict[str, File] = {}
        for path, secret in [*((one, False) for one in where.paths), *((one, True) for one in where.secrets)]:
            for file in _at(where.directory, path, secret, new):
                found[file.path] = file  # if both name it, it is a secret
        return list(found.values())

    def understand(self, files: Sequence[File]) -> Instance:
        """See `Kind`."""
        values = {
            "files": {one.path: Value(digests.plain(one.content), Openness.PUBLIC) for one in files if not one.secret},
            "secrets": {one.path: Value(one.content.hex()) for one in files if one.secret},
        }
        return Instance(self.name, values, files)

    def adapt(self, packed: Sequence[File], here: Sequence[File], port: int | None) -> list[File]:
        """See `Kind`."""
        return list(packed)

    def inspect(self, where: Where, files: Sequence[File]) -> Findings:
        """See `Kind`."""
        return Findings()

    def port(self, files: Sequence[File]) -> int | None:
        """See `Kind`."""
        return None

    def place(self, file: File, where: Where, files: Sequence[File]) -> Path:
        """See `Kind`. Only what the administrator has listed is written, whatever else is in the pack."""
        if file.area is Area.INSTANCE and any(_within(file.path, one) for one in (*where.paths, *where.secrets)):
            return where.directory / file.path
        raise InstanceError(f"{file}: is in the pack, and not listed; add --path {file.path} to have it written")


def _within(path: str, listed: str) -> bool:
    return PurePosixPath(path).is_relative_to(PurePosixPath(listed))


def _at(directory: Path, path: str, secret: bool, new: bool) -> list[File]:
    if path.startswith("/") or ".." in PurePosixPath(path).parts or not PurePosixPath(path).parts:
        raise InstanceError(f"{path!r}: write it as a path below {directory}, without ..")
    target = directory / path
    if target.is_dir() and not target.is_symlink():
        return reading.tree(directory, path, secret)
    if new and not reading.exists(directory, path):
        return []
    return [reading.file_below(directory, str(PurePosixPath(path)), secret)]
