"""How the files of an installation are changed: all of them or none, also if lbproxy is killed in the middle.

    staging    the new files are written beside the old ones, under names of their own    killed here: they are removed
    switching  each takes its place, by a rename                                          killed here: it is finished
    done       what was there before is kept, sealed, so that it can be undone

A file that can be written beside and not be renamed to its place, such as a mount point, is told, and the rest is done.
Such a change is not `whole`: the next one goes on with it, and an undo puts back what was there before both.
The state is in the journal, in the folder `model.FOLDER` of the installation, which the next run reads. New files have
the owner and the mode of the place they go to from their first byte on. The folder keeps nothing in plain text: the
files from before are sealed with the passphrase or the key that the pack was opened with.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from lbproxy.errors import InstanceError
from lbproxy.instance import reading
from lbproxy.instance.change import Change, current, decode, digest, encode
from lbproxy.instance.model import FOLDER
from lbproxy.instance.sealing import Opener

_JOURNAL, _BEFORE, _LOCK = "journal.json", "before.age", "lock"
_NEW = ".new"


class State(StrEnum):
    """See the head of this file."""

    STAGING = "staging"
    SWITCHING = "switching"
    DONE = "done"


class Step(BaseModel):
    """A change as the journal has it; `after`: the digest of the new content."""

    directory: str
    below: str
    name: str
    temporary: str
    after: str

    @property
    def path(self) -> Path:
        """For people."""
        return Path(self.directory, self.below, self.name)

    def is_now(self) -> bool:
        """Whether the file is as this change leaves it. Raises InstanceError."""
        return digest(current(Change(Path(self.directory), self.below, self.name, None)).content) == self.after


class Journal(BaseModel):
    """`what`: for people, what is applied or undone. `last` is the journal of the change before, which is done.

    whole: False if a file could not be changed. earlier: steps of changes that were not whole, before this one.
    """

    model_config = ConfigDict(frozen=True)

    state: State
    what: str
    made: str
    steps: list[Step]
    undoes: bool = False
    last: Journal | None = None
    whole: bool = True
    earlier: list[Step] = []


class Transaction:
    """The changes of one installation, one at a time; use it within `locked`."""

    def __init__(self, directory: Path) -> None:
        self._directory = _real(directory)

    def __repr__(self) -> str:
        return f"<transaction in {self._directory}>"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """No other lbproxy changes the installation meanwhile. Makes the folder. Raises InstanceError."""
        with self._folder(make=True) as at:
            lock = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=at)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield
            except BlockingIOError:
                raise InstanceError(f"{self._directory}: another lbproxy is changing it") from None
            finally:
                os.close(lock)

    def journal(self) -> Journal | None:
        """What was done last, or begun. Raises InstanceError."""
        if not reading.exists(self._directory, FOLDER):
            return None
        with self._folder() as at:
            return self._read_journal(at)

    def recover(self) -> str:
        """Finish or take back what was begun and not ended. What was done, for people; "" if nothing had to be.

        Raises InstanceError.
        """
        journal = self.journal()
        if journal is None or journal.state is State.DONE:
            return ""
        self._check_absolute(journal.steps)
        with self._folder() as at:
            if journal.state is State.STAGING:
                for step in journal.steps:
                    _remove(step)
                with suppress(FileNotFoundError):
                    os.unlink(_BEFORE + _NEW, dir_fd=at)
                self._set(at, journal.last)
                return (
                    f"{journal.what}, begun {journal.made}, was cut off before it changed anything; nothing is changed"
                )
            lost = self._finish(at, journal)
        return "; ".join(
            [f"{journal.what}, begun {journal.made}, was cut off in the middle; it is finished now", *lost]
        )

    def run(self, changes: Sequence[Change], key: Opener, what: str, undoes: bool = False) -> None:
        """Make all changes. Raises OSError with nothing changed; InstanceError too, or it says what is not changed."""
        changes = [change._replace(directory=_real(change.directory)) for change in changes]
        pairs = [(change, now) for change in changes if not change.is_made(now := current(change))]
        changes, before = [change for change, _ in pairs], [now for _, now in pairs]
        steps = [_step(change) for change in changes]
        made = datetime.now(UTC).isoformat(timespec="seconds")
        last = self.journal()
        if last is not None and last.state is not State.DONE:
            raise InstanceError(f"{self._directory}: {last.what} was cut off meanwhile; run it again")
        journal = Journal(state=State.STAGING, what=what, made=made, steps=steps, undoes=undoes, last=last)
        if last is not None and not (last.whole or undoes):
            before = _before_both(last, self._before_part(last, key), before)
            journal = journal.model_copy(update={"earlier": _not_in(last.steps + last.earlier, steps)})
        sealed = key.seal(encode(before))
        with self._folder() as at:
            self._set(at, journal)
            try:
                _write(at, _BEFORE + _NEW, sealed, 0o600)
                for change, step in zip(changes, steps, strict=True):
                    _stage(change, step)
            except BaseException:
                self.recover()
                raise
            switching = journal.model_copy(update={"state": State.SWITCHING, "last": last if undoes else None})
            self._set(at, switching)
            if lost := self._finish(at, switching):
                raise InstanceError("\n".join([*lost, "the other files are changed"]))

    def before(self, key: Opener) -> list[Change]:
        """What would undo the last change. Raises InstanceError."""
        journal = self.journal()
        if journal is None:
            raise InstanceError(f"{self._directory}: nothing was applied here")
        self._check_absolute(journal.steps)
        try:
            with self._folder() as at:
                sealed, _ = reading.read_at(at, _BEFORE)
            saved = decode(key.open(sealed, "what was there before"))
        except (OSError, ValidationError):
            raise InstanceError(f"{self._directory / FOLDER / _BEFORE}: cannot be read") from None
        self._check_absolute(saved)
        return saved

    def _before_part(self, last: Journal, key: Opener) -> list[Change]:
        try:
            return self.before(key)
        except InstanceError as error:
            raise InstanceError(
                f"{error}\n{last.what} of {last.made} has not changed every file: use its passphrase or key, or undo it"
                " first"
            ) from None

    def changed_since(self) -> list[Path]:
        """Files that are not as the last change has left them. Raises InstanceError."""
        journal = self.journal()
        steps = [] if journal is None else journal.steps + journal.earlier
        return [step.path for step in steps if not step.is_now()]

    def _check_absolute(self, named: Sequence[Step | Change]) -> None:
        """A relative path leads elsewhere from another working directory, and secrets would be written there."""
        if not all(Path(one.directory).is_absolute() for one in named):
            raise InstanceError(
                f"{self._directory / FOLDER / _JOURNAL}: has paths of a directory that is not known; put back by hand"
                f" what it names, and remove {FOLDER}"
            )

    # --- the folder

    @contextmanager
    def _folder(self, make: bool = False) -> Iterator[int]:
        """A descriptor of it. Another account that could write there could make root write files anywhere."""
        try:
            with reading.opened(self._directory) as above:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(FOLDER, 0o700, dir_fd=above)
            with reading.opened(self._directory, FOLDER) as at:
                found = os.fstat(at)
                if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
                    raise InstanceError(f"{self._directory / FOLDER}: is not yours alone; run it as its owner")
                yield at
        except PermissionError as error:
            raise InstanceError(f"{self._directory}: {error.strerror}; run it as root, or as the owner") from None

    def _read_journal(self, at: int) -> Journal | None:
        try:
            return Journal.model_validate_json(reading.read_at(at, _JOURNAL)[0])
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            raise InstanceError(
                f"{self._directory / FOLDER / _JOURNAL}: cannot be read; look at what is there"
            ) from None

    def _set(self, at: int, journal: Journal | None) -> None:
        if journal is None:
            with suppress(FileNotFoundError):
                os.unlink(_JOURNAL, dir_fd=at)
        else:
            _write(at, _JOURNAL + _NEW, journal.model_dump_json().encode(), 0o600)
            os.rename(_JOURNAL + _NEW, _JOURNAL, src_dir_fd=at, dst_dir_fd=at)
        os.fsync(at)

    def _finish(self, at: int, journal: Journal) -> list[str]:
        """What could not be done, a sentence each: whatever it is, the rest is done and can be undone."""
        lost = [trouble for step in journal.steps if (trouble := _switch(step))]
        if not journal.undoes:
            with suppress(FileNotFoundError):
                os.rename(_BEFORE + _NEW, _BEFORE, src_dir_fd=at, dst_dir_fd=at)
            self._set(at, journal.model_copy(update={"state": State.DONE, "whole": not lost}))
            return lost
        with suppress(FileNotFoundError):
            os.unlink(_BEFORE + _NEW, dir_fd=at)
        if lost:  # it is still the last apply that can be undone
            applied = journal.last or journal.model_copy(update={"state": State.DONE})
            self._set(at, applied.model_copy(update={"whole": False}))
            return lost
        self._set(at, None)  # what is undone is not kept
        with suppress(FileNotFoundError):
            os.unlink(_BEFORE, dir_fd=at)
        return []


# --- one file


def _real(directory: Path) -> Path:
    """It is the same one from any working directory, and when links lead elsewhere."""
    return Path(os.path.realpath(directory))


def _step(change: Change) -> Step:
    return Step(
        directory=str(change.directory),
        below=change.below,
        name=change.name,
        temporary=f".{change.name}.lbproxy-{os.urandom(4).hex()}",
        after=digest(change.content),
    )


def _not_in(earlier: Sequence[Step], steps: Sequence[Step]) -> list[Step]:
    """Those of `earlier` whose files are not in `steps`."""
    paths = {step.path for step in steps}
    return [step for step in earlier if step.path not in paths]


def _before_both(last: Journal, saved: Sequence[Change], now: Sequence[Change]) -> list[Change]:
    """What an undo puts back after two changes, of which the `last` was not whole and has `saved` what was before it.

    A file that was changed by hand between the two is put back as it is `now`.
    """
    left = {step.path for step in last.steps + last.earlier if step.is_now()}
    found = {one.path: one for one in saved}
    found.update((one.path, one) for one in now if one.path not in found or one.path not in left)
    return list(found.values())


def _stage(change: Change, step: Step) -> None:
    if change.content is None:
        return
    with reading.opened(change.directory, change.below, make=True) as at:
        _write(at, step.temporary, change.content, change.mode, change.uid, change.gid)
        os.fsync(at)


def _write(at: int, name: str, content: bytes, mode: int, uid: int = -1, gid: int = -1) -> None:
    """A new file; one of that name is taken away before."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=at)
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=at)
    with os.fdopen(descriptor, "wb") as file:
        found = os.fstat(descriptor)
        if (uid, gid) not in ((-1, -1), (found.st_uid, found.st_gid)):
            os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _switch(step: Step) -> str:
    """Put one file into its place, where it may be already. Says what is wrong if that cannot be."""
    try:
        with reading.opened(Path(step.directory), step.below) as at:
            if not step.after:
                with suppress(FileNotFoundError):
                    os.unlink(step.name, dir_fd=at)
            elif _digest(at, step.temporary) == step.after:
                os.rename(step.temporary, step.name, src_dir_fd=at, dst_dir_fd=at)
            elif _digest(at, step.name) != step.after:
                return f"{step.path}: its new content is gone; apply again, or undo"
            os.fsync(at)
    except OSError as error:
        _remove(step)  # it may have a secret
        return f"{step.path}: cannot be changed: {reading.reason(error)}; apply again, or undo"
    return ""


def _digest(at: int, name: str) -> str:
    try:
        return digest(reading.read_at(at, name)[0])
    except OSError:
        return ""


def _remove(step: Step) -> None:
    with suppress(OSError), reading.opened(Path(step.directory), step.below) as at:
        os.unlink(step.temporary, dir_fd=at)
