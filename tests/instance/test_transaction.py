"""Files are changed all or not at all, whenever lbproxy is killed, and can be put back."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyrage
import pytest

from lbproxy.errors import InstanceError
from lbproxy.instance.change import Change, current
from lbproxy.instance.model import FOLDER
from lbproxy.instance.sealing import Identity
from lbproxy.instance.transaction import State, Transaction
from tests.instance.killer import NEW, OLD, Killer, changes, killing


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory, if there is such a place: lbproxy waits for the disk at every step, and is killed at every step."""
    shared = "/dev/shm"
    with TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as path:
        yield Path(path)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "connector"
    (made / "lib").mkdir(parents=True)
    (made / "config.json").write_bytes(OLD)
    (made / "config.json").chmod(0o640)
    (made / "obsolete").write_bytes(OLD)
    (made / "obsolete").chmod(0o644)
    return made


@pytest.fixture(scope="module")
def kills() -> Iterator[subprocess.Popen[str]]:
    with killing() as process:
        yield process


@pytest.fixture
def killer(kills: subprocess.Popen[str], directory: Path, identity: Identity, tmp_path: Path) -> Killer:
    """Who has the key of `identity`."""
    return Killer(kills, directory, tmp_path / "identity")


def content(directory: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(directory)): (path.read_bytes(), path.stat().st_mode & 0o777)
        for path in sorted(directory.rglob("*"))
        if path.is_file() and FOLDER not in path.parts
    }


def applied(directory: Path, identity: Identity) -> None:
    transaction = Transaction(directory)
    with transaction.locked():
        transaction.run(changes(directory), identity, "apply of pack 1")


def undo(directory: Path, identity: Identity) -> None:
    transaction = Transaction(directory)
    with transaction.locked():
        transaction.run(transaction.before(identity), identity, "undo", undoes=True)


AFTER = {"certs/cert.key": (NEW, 0o600), "config.json": (NEW, 0o600), "lib/mapper.js": (NEW, 0o644)}


def test_changes_all_and_puts_it_back(directory: Path, identity: Identity) -> None:
    before = content(directory)
    applied(directory, identity)
    assert content(directory) == AFTER
    transaction = Transaction(directory)
    with transaction.locked():
        assert transaction.recover() == ""
        transaction.run(transaction.before(identity), identity, "undo", undoes=True)
    assert content(directory) == before
    assert sorted(path.name for path in (directory / FOLDER).iterdir()) == ["lock"]
    with pytest.raises(InstanceError, match="nothing was applied here"):
        transaction.before(identity)


def test_what_is_kept_is_sealed(directory: Path, identity: Identity) -> None:
    applied(directory, identity)
    kept = b"".join(path.read_bytes() for path in (directory / FOLDER).iterdir())
    assert OLD not in kept
    assert NEW not in kept
    assert (directory / FOLDER).stat().st_mode & 0o777 == 0o700
    (directory.parent / "other").write_text(str(pyrage.x25519.Identity.generate()))
    with pytest.raises(InstanceError, match="what was there before: cannot be opened"):
        Transaction(directory).before(Identity.read(directory.parent / "other"))


def kill_at_every_step(killer: Killer, what: str) -> set[str]:
    """Every state that recovery comes to, when lbproxy is killed before each step: "before" or "after"."""
    directory = killer.directory
    start, come_to, step = content(directory), set(), 0
    kept = {path.name: path.read_bytes() for path in (directory / FOLDER).glob("*")}
    while killer.kill(what, step):
        recovered = Transaction(directory)
        with recovered.locked():
            recovered.recover()
            assert recovered.recover() == "", "once is enough"
        found = content(directory)
        come_to.add("before" if found == start else "after")
        if found != start:
            assert found == (AFTER if what == "apply" else BEFORE), f"killed at step {step}"
            _restore(directory, start, kept)
        step += 1
    return come_to


BEFORE = {"config.json": (OLD, 0o640), "obsolete": (OLD, 0o644)}


def _restore(directory: Path, files: dict[str, tuple[bytes, int]], kept: dict[str, bytes]) -> None:
    for path in [*content(directory), *(str(one.relative_to(directory)) for one in (directory / FOLDER).iterdir())]:
        (directory / path).unlink()
    for path, (text, mode) in files.items():
        (directory / path).write_bytes(text)
        (directory / path).chmod(mode)
    for name, text in kept.items():
        (directory / FOLDER / name).write_bytes(text)


def test_killed_at_any_step_it_is_all_or_nothing(directory: Path, killer: Killer) -> None:
    assert kill_at_every_step(killer, "apply") == {"before", "after"}
    assert content(directory) == AFTER
    assert kill_at_every_step(killer, "undo") == {"before", "after"}
    assert content(directory) == BEFORE


def test_says_what_it_found(directory: Path, killer: Killer) -> None:
    told, step = [], 0
    while killer.kill("apply", step):
        with (transaction := Transaction(directory)).locked():
            told.append(transaction.recover())
        step += 1
    assert any("apply of pack 1, begun 20" in one and one.endswith("anything; nothing is changed") for one in told)
    assert any(one.endswith("was cut off in the middle; it is finished now") for one in told)


def test_an_undo_is_still_possible_after_an_apply_that_was_cut_off(
    directory: Path, identity: Identity, killer: Killer
) -> None:
    applied(directory, identity)
    transaction = Transaction(directory)
    assert killer.kill("apply", 8)
    with transaction.locked():
        assert "nothing is changed" in transaction.recover()
        transaction.run(transaction.before(identity), identity, "undo", undoes=True)
    assert content(directory) == BEFORE


def test_what_has_changed_since(directory: Path, identity: Identity) -> None:
    applied(directory, identity)
    assert Transaction(directory).changed_since() == []
    (directory / "config.json").write_bytes(b"as the connector writes it at its start")
    assert Transaction(directory).changed_since() == [directory / "config.json"]


def test_a_file_that_cannot_be_written_leaves_all_as_it_was(directory: Path, identity: Identity) -> None:
    before = content(directory)
    transaction = Transaction(directory)
    long = Change(directory, ".", "x" * 250, NEW)  # its temporary name is longer than a name may be
    with transaction.locked(), pytest.raises(OSError, match="File name too long"):
        transaction.run([*changes(directory), long], identity, "apply")
    assert content(directory) == before
    assert transaction.journal() is None


def test_no_link_is_followed(directory: Path, identity: Identity, tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(OLD)
    (directory / "config.json").unlink()
    (directory / "config.json").symlink_to(tmp_path / "victim")
    with pytest.raises(InstanceError, match="is a symbolic link"):
        applied(directory, identity)
    (directory / "config.json").unlink()
    (tmp_path / "elsewhere").mkdir()
    (directory / "certs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InstanceError, match="is a symbolic link"):
        applied(directory, identity)
    assert (tmp_path / "victim").read_bytes() == OLD
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_two_at_the_same_time(directory: Path) -> None:
    with (
        Transaction(directory).locked(),
        pytest.raises(InstanceError, match="another lbproxy is changing it"),
        Transaction(directory).locked(),
    ):
        pass


def test_a_journal_that_somebody_else_may_have_written(directory: Path) -> None:
    (directory / FOLDER).mkdir(mode=0o755)
    with pytest.raises(InstanceError, match="is not yours alone"):
        Transaction(directory).journal()
    (directory / FOLDER).chmod(0o700)
    (directory / FOLDER / "journal.json").write_text("{}")
    with pytest.raises(InstanceError, match=r"journal\.json: cannot be read"):
        Transaction(directory).journal()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_owners(directory: Path, identity: Identity) -> None:
    transaction = Transaction(directory)
    with transaction.locked():
        transaction.run([Change(directory, ".", "config.json", NEW, 0o640, 1234, 2345)], identity, "apply")
    found = (directory / "config.json").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (1234, 2345, 0o640)
    assert current(Change(directory, ".", "config.json", None)).uid == 1234


def test_content_that_was_lost_is_told_and_can_be_undone(directory: Path, identity: Identity, killer: Killer) -> None:
    transaction = Transaction(directory)
    cut_off(killer, "apply")
    (temporary,) = directory.glob(".config.json.lbproxy-*")
    temporary.unlink()
    with transaction.locked():
        assert "config.json: its new content is gone; apply again, or undo" in transaction.recover()
        transaction.run(transaction.before(identity), identity, "undo", undoes=True)
    assert content(directory) == BEFORE


def _state(transaction: Transaction) -> State | None:
    journal = transaction.journal()
    return None if journal is None else journal.state


def test_paths_are_those_of_the_working_directory_then(
    directory: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also those behind a link that leads elsewhere later."""
    link, elsewhere = tmp_path / "link", tmp_path / "elsewhere"
    link.symlink_to(directory)
    elsewhere.mkdir()
    before = content(directory)
    monkeypatch.chdir(tmp_path)
    transaction = Transaction(Path("link"))
    with transaction.locked():
        transaction.run(changes(Path("link")), identity, "apply of pack 1")
    monkeypatch.chdir(elsewhere)
    assert transaction.changed_since() == []
    link.unlink()
    link.symlink_to(elsewhere)
    with transaction.locked():
        transaction.run(transaction.before(identity), identity, "undo", undoes=True)
    assert content(directory) == before
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("state", [State.STAGING, State.SWITCHING, State.DONE])
def test_a_journal_with_paths_of_an_unknown_directory(directory: Path, identity: Identity, state: State) -> None:
    applied(directory, identity)
    journal = directory / FOLDER / "journal.json"
    written = journal.read_text().replace(str(directory), ".").replace('"done"', f'"{state}"')
    journal.write_text(written)
    found = content(directory)
    transaction = Transaction(directory)
    with transaction.locked():
        if state is not State.DONE:
            with pytest.raises(InstanceError, match=r"journal\.json: has paths of a directory"):
                transaction.recover()
        with pytest.raises(InstanceError, match=r"journal\.json: has paths of a directory"):
            transaction.before(identity)
    assert (content(directory), journal.read_text()) == (found, written)
    assert (directory / FOLDER / "before.age").exists()


def cut_off(killer: Killer, what: str) -> None:
    """Killed as soon as files are switched."""
    transaction, step = Transaction(killer.directory), 0
    while killer.kill(what, step):
        if _state(transaction) is State.SWITCHING:
            return
        with transaction.locked():
            transaction.recover()
        step += 1
    pytest.fail("was not killed while it switched")


def in_the_way(directory: Path) -> Path:
    """No file can be renamed to where there is a directory."""
    (directory / "config.json").unlink()
    (directory / "config.json").mkdir()
    return directory / "config.json"


def test_a_file_that_cannot_be_switched_does_not_keep_the_others(
    directory: Path, identity: Identity, killer: Killer
) -> None:
    cut_off(killer, "apply")
    blocked = in_the_way(directory)
    transaction = Transaction(directory)
    with transaction.locked():
        assert f"{blocked}: cannot be changed: Is a directory" in transaction.recover()
    assert content(directory) == {name: file for name, file in AFTER.items() if name != "config.json"}
    assert _state(transaction) is State.DONE
    blocked.rmdir()
    undo(directory, identity)
    assert content(directory) == BEFORE


def test_what_could_not_be_undone_can_be_undone_later(directory: Path, identity: Identity, killer: Killer) -> None:
    applied(directory, identity)
    cut_off(killer, "undo")
    blocked = in_the_way(directory)
    transaction = Transaction(directory)
    with transaction.locked():
        assert f"{blocked}: cannot be changed: Is a directory" in transaction.recover()
        assert transaction.recover() == ""
    assert content(directory) == {name: file for name, file in BEFORE.items() if name != "config.json"}
    journal = transaction.journal()
    assert journal is not None
    assert journal.what == "apply of pack 1"
    blocked.rmdir()
    undo(directory, identity)
    assert content(directory) == BEFORE
    assert sorted(path.name for path in (directory / FOLDER).iterdir()) == ["lock"]


def test_a_mount_point_keeps_its_file_and_the_rest_can_be_undone(
    directory: Path, identity: Identity, mounted: Callable[[Path], None]
) -> None:
    before = content(directory)
    mounted(directory / "config.json")
    with pytest.raises(InstanceError, match=r"config\.json: cannot be changed: Device or resource busy;.*\nthe other"):
        applied(directory, identity)
    assert content(directory) == {**AFTER, "config.json": before["config.json"]}
    transaction = Transaction(directory)
    undo(directory, identity)
    assert content(directory) == before
    assert transaction.journal() is None


def test_one_that_was_cut_off_meanwhile_is_not_forgotten(directory: Path, identity: Identity, killer: Killer) -> None:
    """Another one began after the last look at the journal."""
    cut_off(killer, "apply")
    transaction = Transaction(directory)
    journal = transaction.journal()
    with transaction.locked(), pytest.raises(InstanceError, match="was cut off meanwhile; run it again"):
        transaction.run([Change(directory, ".", "other", NEW)], identity, "apply of pack 2")
    assert transaction.journal() == journal
    with transaction.locked():
        transaction.recover()
    assert content(directory) == AFTER


def not_whole(killer: Killer, what: str) -> None:
    """All but config.json is changed; then what was in its way is gone, and it is as it was before."""
    directory = killer.directory
    before, mode = (directory / "config.json").read_bytes(), (directory / "config.json").stat().st_mode
    cut_off(killer, what)
    blocked = in_the_way(directory)
    with (transaction := Transaction(directory)).locked():
        assert "config.json: cannot be changed" in transaction.recover()
    blocked.rmdir()
    blocked.write_bytes(before)
    blocked.chmod(mode)


def test_an_undo_takes_back_an_apply_that_was_not_whole_too(
    directory: Path, identity: Identity, killer: Killer
) -> None:
    not_whole(killer, "apply")
    applied(directory, identity)
    assert content(directory) == AFTER
    assert Transaction(directory).changed_since() == []
    (directory / "certs" / "cert.key").write_bytes(b"new at its start")
    assert Transaction(directory).changed_since() == [directory / "certs" / "cert.key"]
    undo(directory, identity)
    assert content(directory) == BEFORE
    assert sorted(path.name for path in (directory / FOLDER).iterdir()) == ["lock"]


def test_three_applies_of_which_two_were_not_whole(directory: Path, identity: Identity, killer: Killer) -> None:
    not_whole(killer, "apply")
    (directory / "lib" / "mapper.js").unlink()
    not_whole(killer, "apply")
    applied(directory, identity)
    undo(directory, identity)
    assert content(directory) == BEFORE


def test_an_apply_after_an_undo_that_was_not_whole(directory: Path, identity: Identity, killer: Killer) -> None:
    applied(directory, identity)
    not_whole(killer, "undo")
    assert content(directory) == {**BEFORE, "config.json": AFTER["config.json"]}
    applied(directory, identity)
    undo(directory, identity)
    assert content(directory) == BEFORE


def test_what_somebody_wrote_between_two_applies_is_put_back(
    directory: Path, identity: Identity, killer: Killer
) -> None:
    not_whole(killer, "apply")
    (directory / "certs" / "cert.key").write_bytes(b"by hand")
    applied(directory, identity)
    undo(directory, identity)
    assert content(directory) == {**BEFORE, "certs/cert.key": (b"by hand", 0o600)}


def test_an_apply_that_is_whole_is_where_an_undo_ends(directory: Path, identity: Identity, killer: Killer) -> None:
    not_whole(killer, "apply")
    applied(directory, identity)
    transaction = Transaction(directory)
    with transaction.locked():
        transaction.run([Change(directory, ".", "config.json", b"third", 0o600)], identity, "apply of pack 2")
    undo(directory, identity)
    assert content(directory) == AFTER


def test_with_another_key_nothing_is_changed(directory: Path, killer: Killer, tmp_path: Path) -> None:
    not_whole(killer, "apply")
    found, journal = content(directory), Transaction(directory).journal()
    (tmp_path / "other").write_text(str(pyrage.x25519.Identity.generate()))
    with pytest.raises(InstanceError, match=r"apply of pack 1 of 20.* has not changed every file: use its passphrase"):
        applied(directory, Identity.read(tmp_path / "other"))
    assert (content(directory), Transaction(directory).journal()) == (found, journal)


def test_killed_at_any_step_of_the_second_apply_it_can_be_undone(
    directory: Path, identity: Identity, killer: Killer
) -> None:
    not_whole(killer, "apply")
    start, step = content(directory), 0
    kept = {path.name: path.read_bytes() for path in (directory / FOLDER).iterdir()}
    while killer.kill("apply", step):
        with (transaction := Transaction(directory)).locked():
            transaction.recover()
        undo(directory, identity)
        assert content(directory) == BEFORE, f"killed at step {step}"
        (directory / FOLDER).mkdir(0o700, exist_ok=True)
        _restore(directory, start, kept)
        step += 1
    assert step > 5
