from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lbproxy.config import Address
from lbproxy.draft.place import keep
from lbproxy.errors import StartError


def test_the_next_start_at_the_same_address_replaces_the_file(tmp_path: Path) -> None:
    admin = Address(path=tmp_path / "run" / "admin.sock")
    first = keep("1", Address("::1", 80), admin)
    assert first == tmp_path / "run" / "run-..1-80.toml"
    assert keep("2", Address("::1", 80), admin) == first
    assert first.read_text() == "2"
    assert keep("3", Address(path=tmp_path / "login.sock"), admin).name == "run-login.toml"
    assert len(list(first.parent.iterdir())) == 2


def test_an_admin_address_without_a_directory_gets_a_new_one() -> None:
    path = keep("1", Address("127.0.0.1", 80), Address("127.0.0.1", 81))
    assert path.read_text() == "1"
    assert path.parent.stat().st_mode & 0o077 == 0
    shutil.rmtree(path.parent)


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match=f"{tmp_path}/file.*--print"):
        keep("1", Address("::1", 80), Address(path=tmp_path / "file" / "admin.sock"))
