from __future__ import annotations

from pathlib import Path

import pytest
from argon2 import PasswordHasher

from lbproxy.dashboard import passwords
from lbproxy.dashboard.passwords import LONGEST, Passwords, is_name, read, write


@pytest.fixture
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash takes a tenth of a second on purpose; only the first test is about that."""
    monkeypatch.setattr(passwords, "hasher", lambda: PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


def test_a_hash_is_as_dear_as_rfc_9106_wants_it(tmp_path: Path) -> None:
    """Section 4, second choice: 64 MiB, 3 passes, 4 lanes."""
    path = tmp_path / "passwd"
    write(path, "olga", "first")
    assert path.read_text().startswith("olga:$argon2id$v=19$m=65536,t=3,p=4$")
    assert Passwords(path).verify("olga", "first")


@pytest.mark.usefixtures("_cheap")
def test_a_password_is_written_and_verified(tmp_path: Path) -> None:
    path = tmp_path / "passwd"
    assert not write(path, "olga", "first")
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("# ours\n" + path.read_text())
    path.chmod(0o640)
    assert not write(path, "vera", "hers")
    assert write(path, "olga", "sécond")
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.read_text().startswith("# ours\nvera:$argon2id$")
    known = Passwords(path)
    assert known.verify("olga", "sécond")
    assert not known.verify("olga", "first")
    assert not known.verify("olga", "")
    assert not known.verify("nobody", "sécond")
    assert not known.verify("olga", "x" * 10_000_000)
    assert known.knows("olga")
    assert not known.knows("nobody")


@pytest.mark.usefixtures("_cheap")
def test_a_changed_file_is_read_again_and_a_broken_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "passwd"
    write(path, "olga", "first")
    known = Passwords(path)
    write(path, "olga", "second")
    known.refresh()
    assert known.verify("olga", "second")
    path.write_text("broken")
    with pytest.raises(ValueError, match=r"passwd:1: not NAME:HASH"):
        known.refresh()
    assert known.verify("olga", "second")
    path.unlink()
    with pytest.raises(ValueError, match="No such file"):
        known.refresh()


@pytest.mark.usefixtures("_cheap")
def test_a_change_is_told_by_name(tmp_path: Path) -> None:
    path, told = tmp_path / "passwd", list[set[str]]()
    for name in ("olga", "vera", "otto"):
        write(path, name, "first")
    known = Passwords(path)
    known.changed = lambda names: told.append(set(names))
    write(path, "olga", "second")
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if "vera" not in line))
    known.refresh()
    assert told == [{"olga", "vera"}]


def test_a_name_that_there_is_not_costs_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same hash function runs over it, with the parameters of the file."""
    path = tmp_path / "passwd"
    write(path, "olga", "first")
    known = Passwords(path)
    looked: list[str] = []

    class Noting:
        def verify(self, known_hash: str, _: bytes) -> bool:
            looked.append(known_hash)
            return False

    monkeypatch.setattr(known, "_hasher", Noting())
    known.verify("olga", "x")
    known.verify("nobody", "x")
    there, dummy = (one.rsplit("$", 2)[0] for one in looked)
    assert there == dummy


HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b/dWA"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("olga", ":1: not NAME:HASH"),
        ("a@b:" + HASH, ":1: not NAME:HASH"),
        ("CN=a:" + HASH, ":1: not NAME:HASH"),
        (f"olga:{HASH}\n\nolga:{HASH}", ":3: olga is there twice"),
        ("olga:secret", ":1: the hash of olga is not argon2's"),
        ("olga:" + HASH.replace("65536", "2000000"), ":1: the hash of olga takes more than 1 GiB"),
        ("olga:" + HASH.replace("t=3", "t=300"), ":1: the hash of olga takes too long to look at; t is 300"),
    ],
)
def test_what_is_wrong_in_a_file_is_named_and_not_shown(tmp_path: Path, text: str, wrong: str) -> None:
    path = tmp_path / "passwd"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"passwd{wrong}") as raised:
        read(path)
    assert "secret" not in str(raised.value)


def test_what_cannot_be_a_name_or_a_password(tmp_path: Path) -> None:
    assert not any(map(is_name, ("", "a b", "a:b", "a\nb", "a@B", "CN=a", "*", "x" * 64)))
    for name, password in (("a@b", "x"), ("olga", ""), ("olga", "x" * (LONGEST + 1))):
        with pytest.raises(ValueError, match=r"is not a name|a password has"):
            write(tmp_path / "passwd", name, password)
    assert not [*tmp_path.iterdir()]
