"""What a connector's installation is made of: its files, and the values in which instances have to be alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol

FOLDER = ".lbproxy-instance"
"""In an installation: what `transaction` needs to undo or to finish."""


class Openness(IntEnum):
    """Where a value may be shown as it is; elsewhere its digest is shown."""

    PUBLIC = 0  # anywhere: it may be in a log
    INTERNAL = 1  # who may read the installation
    SECRET = 2  # nowhere: it is never printed


class Value(NamedTuple):
    """One of the values that are compared."""

    text: str
    openness: Openness = Openness.SECRET


class Area(StrEnum):
    """Where a file of an instance is."""

    INSTANCE = "instance"  # below the directory of the installation
    ENVIRONMENT = "environment"  # the file of variables that its service is started with
    KEYTAB = "keytab"
    VALUES = "values"  # of a Helm chart
    CA = "ca"  # a directory of authorities outside of the installation
    PROGRAM = "program"  # no file: what the installed program is; see `fact_file`


@dataclass(frozen=True, slots=True)
class File:
    """`path` is relative to the area, with "/"; "" in an area that is one file. `mode` has permission bits only."""

    area: Area
    path: str
    content: bytes = field(repr=False)
    mode: int
    secret: bool

    @property
    def key(self) -> tuple[Area, str]:
        """No two files of an instance have the same."""
        return self.area, self.path

    def __str__(self) -> str:
        """For people: the path, or what the file is."""
        return self.path if self.area is Area.INSTANCE else f"{self.area}{f' {self.path}' if self.path else ''}"


def fact_file(name: str, text: str) -> File:
    """What is known of the installed program; it is packed, so that `apply` can compare it, and never written."""
    return File(Area.PROGRAM, name, text.encode(), 0, False)


@dataclass(frozen=True, slots=True)
class Where:
    """Where an instance is: `directory`, and what of it is elsewhere. `paths` and `secrets` are for the kind files."""

    directory: Path
    environment: Path | None = None
    keytab: Path | None = None
    authorities: Path | None = None
    values: Path | None = None
    paths: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    version: str = ""
    digest_key: Path | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance as its files say it is.

    values    by aspect, which is a row of the kind's table, and within it by part, such as a key of config.json
    material  what the key of digests is made of: a secret that all instances share; None if there is none
    problems  why it must not be copied, and would not serve; a sentence each
    warnings  what may be meant so
    """

    kind: str
    values: Mapping[str, Mapping[str, Value]]
    files: Sequence[File]
    material: bytes | None = field(default=None, repr=False)
    problems: Sequence[str] = ()
    warnings: Sequence[str] = ()


class Findings(NamedTuple):
    """Sentences for the administrator: what must be set right, and what may be meant so."""

    problems: Sequence[str] = ()
    warnings: Sequence[str] = ()


class Kind(Protocol):
    """A kind of connector: which files it has, what has to be equal, what must differ, and what a difference does."""

    @property
    def name(self) -> str:
        """As commands call it."""
        ...

    @property
    def aspects(self) -> Mapping[str, str]:
        """Aspect -> what users notice if instances differ in it. Aspects are the names of facts."""
        ...

    @property
    def parts(self) -> Mapping[str, str]:
        """The same in closer words, for some parts."""
        ...

    def gather(self, where: Where, new: bool = False) -> list[File]:
        """The files of the instance at `where`; new: it may have none yet. Raises InstanceError."""
        ...

    def understand(self, files: Sequence[File]) -> Instance:
        """What they mean. Raises InstanceError where nothing can be said."""
        ...

    def adapt(self, packed: Sequence[File], here: Sequence[File], port: int | None) -> list[File]:
        """The packed files as they have to be beside those that are `here`: what must differ is kept, or `port`."""
        ...

    def inspect(self, where: Where, files: Sequence[File]) -> Findings:
        """What its running processes say beside the files."""
        ...

    def port(self, files: Sequence[File]) -> int | None:
        """Where the connector will listen; None if the files do not say."""
        ...

    def place(self, file: File, where: Where, files: Sequence[File]) -> Path:
        """Where a packed file goes. Raises InstanceError if it is none of the kind's, or no option says where."""
        ...


def find(files: Sequence[File], area: Area, path: str = "") -> File | None:
    """The file with that key."""
    return next((file for file in files if file.key == (area, path)), None)
