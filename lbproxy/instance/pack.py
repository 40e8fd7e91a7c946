"""A pack: one file that has an instance, sealed, with a manifest before it that can be read without its key.

    lbproxy instance pack 1          the format
    {"kind": "auth0", ...}           the manifest: one line of JSON
    age-encryption.org/v1 ...        the files, sealed; and the digest of the manifest, so that no other fits

The manifest tells digests only. What is not public has a keyed digest, under a key that is made of the instance's own
private key: no secret can be guessed from it, and `diff` can still say whether a host has the same. There are files and
nothing else in a pack: no links, devices or owners.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from uuid import uuid4

from pydantic import Base64Bytes, BaseModel, ConfigDict, ValidationError

from lbproxy import __version__, files
from lbproxy.errors import InstanceError
from lbproxy.instance import digests
from lbproxy.instance.model import FOLDER, Area, File, Instance, Openness
from lbproxy.instance.reading import LARGEST_FILE, LARGEST_INSTANCE, MOST_FILES
from lbproxy.instance.sealing import Opener, Sealer

FORMAT = 1
_MAGIC = "lbproxy instance pack "
_FIRST = re.compile(rb"lbproxy instance pack ([0-9]{1,9})\n")
_LARGEST = 2 * LARGEST_INSTANCE  # base64 adds a third
_LONGEST_MANIFEST = 1024 * 1024
_PATH = re.compile(r"[^\\\x00-\x1f\x7f\ud800-\udfff]{1,1024}")  # nor bytes that are no UTF-8


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Entry(_Model):
    """A file as the manifest tells of it."""

    area: Area
    path: str
    digest: str


class Manifest(_Model):
    """What can be read without the key. `key_id`, `values`, `facts` are those of `digests`; `made` is a time in UTC."""

    kind: str
    id: str
    made: str
    by: str
    key_id: str
    values: dict[str, dict[str, str]]
    facts: dict[str, str]
    files: list[Entry]


class _Packed(_Model):
    area: Area
    path: str
    mode: int
    secret: bool
    content: Base64Bytes


class _Payload(_Model):
    manifest: str
    files: list[_Packed]


class Pack(NamedTuple):
    """A pack that was read. `sealed` are its files; `line` is its manifest as written."""

    path: str
    manifest: Manifest
    line: bytes
    sealed: bytes

    def open(self, opener: Opener) -> list[File]:
        """The files. Raises InstanceError, also when what is sealed is not what the manifest says."""
        content = opener.open(self.sealed, self.path)
        try:
            payload = _Payload.model_validate_json(content)
        except ValidationError as error:
            raise InstanceError(f"{self.path}: is damaged: {_first(error)}") from None
        if payload.manifest != hashlib.sha256(self.line).hexdigest():
            raise InstanceError(f"{self.path}: its manifest is not the one that was packed")
        found = [File(one.area, one.path, one.content, one.mode & 0o777, one.secret) for one in payload.files]
        check_paths(found, self.path)
        return found


def write(instance: Instance, sealer: Sealer, path: Path) -> Manifest:
    """Write a pack, whole or not at all, that only its owner can read. Raises InstanceError, as for unfit names."""
    check_paths(instance.files, "the instance")
    manifest = make_manifest(instance)
    line = manifest.model_dump_json().encode()
    content = _MAGIC.encode() + b"%d\n" % FORMAT + line + b"\n" + sealer.seal(payload(instance.files, line))
    _store(path, content)
    return manifest


def make_manifest(instance: Instance) -> Manifest:
    """Of an instance that is packed now, on this host."""
    key = digests.digest_key(instance.material)
    return Manifest(
        kind=instance.kind,
        id=uuid4().hex,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        by=f"lbproxy {__version__} on {os.uname().nodename}",
        key_id=digests.key_id(key),
        values=digests.describe(instance, key, Openness.PUBLIC),
        facts=digests.facts(instance, key),
        files=[Entry(area=one.area, path=one.path, digest=_digest(one, key)) for one in instance.files],
    )


def _digest(file: File, key: bytes | None) -> str:
    return digests.keyed(key, str(file), file.content) if file.secret else digests.plain(file.content)


def payload(packed: Sequence[File], line: bytes) -> bytes:
    """What is sealed."""
    entries = [
        _Packed.model_construct(area=one.area, path=one.path, mode=one.mode, secret=one.secret, content=one.content)
        for one in packed
    ]
    whole = _Payload.model_construct(manifest=hashlib.sha256(line).hexdigest(), files=entries)
    return whole.model_dump_json(warnings=False).encode()


def _store(path: Path, content: bytes) -> None:
    temporary = path.parent / f".{os.urandom(8).hex()}.pack"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InstanceError(f"{path}: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InstanceError(f"{path}: {error.strerror}") from None


def is_pack(path: Path) -> bool:
    """Whether the file begins as a pack does."""
    try:
        files.check(path, _LARGEST)  # a FIFO would wait for a writer
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC.encode()
    except OSError:
        return False


def read(path: Path) -> Pack:
    """Raises InstanceError for what is no pack, is cut in the manifest, or may have been written by others."""
    try:
        content = files.read(path, _LARGEST)
        found = path.stat()
    except OSError as error:
        raise InstanceError(f"{path}: {error.strerror}") from None
    _judge_owner(path, found)
    first = _FIRST.match(content)
    if first is None:
        raise InstanceError(f"{path}: is not a pack")
    if int(first[1]) != FORMAT:
        raise InstanceError(f"{path}: is a pack of format {int(first[1])}; this lbproxy reads format {FORMAT}")
    line, newline, sealed = content[first.end() :].partition(b"\n")
    if not newline or not sealed:
        raise InstanceError(f"{path}: is cut")
    if len(line) > _LONGEST_MANIFEST:
        raise InstanceError(f"{path}: its manifest is too long")
    try:
        manifest = Manifest.model_validate_json(line)
    except ValidationError as error:
        raise InstanceError(f"{path}: its manifest is damaged: {_first(error)}") from None
    return Pack(str(path), manifest, line, sealed)


def _judge_owner(path: Path, found: os.stat_result) -> None:
    """Every account that can write the file can have made it, if it is sealed to a key."""
    if found.st_uid not in (0, os.geteuid()):
        raise InstanceError(f"{path}: belongs to another user; look where it comes from, then chown it")
    if stat.S_IMODE(found.st_mode) & 0o022:
        raise InstanceError(f"{path}: others may write it; look where it comes from, then chmod go-w")


def check_paths(packed: Sequence[File], where: str) -> None:
    """Raises InstanceError for paths that lead elsewhere, that are twice there, or that are too many."""
    if len(packed) > MOST_FILES or sum(len(one.content) for one in packed) > LARGEST_INSTANCE:
        raise InstanceError(f"{where}: has too many files, or too large, to be an instance's")
    seen: set[tuple[Area, str]] = set()
    for one in packed:
        if len(one.content) > LARGEST_FILE:
            raise InstanceError(f"{where}: {one} is too large")
        if not _is_fit(one):
            raise InstanceError(f"{where}: has a path that is not fit: {one.path!r}")
        if one.key in seen:
            raise InstanceError(f"{where}: has {one} twice")
        seen.add(one.key)
    for one in packed:
        if any((one.area, str(parent)) in seen for parent in list(PurePosixPath(one.path).parents)[:-1]):
            raise InstanceError(f"{where}: has {one} below a file")


def _is_fit(file: File) -> bool:
    if file.area not in (Area.INSTANCE, Area.CA, Area.PROGRAM):
        return file.path == ""
    parts = file.path.split("/")
    return bool(_PATH.fullmatch(file.path)) and not {"", ".", "..", FOLDER} & set(parts)


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
