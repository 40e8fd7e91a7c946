"""A file is found as it is, and what was there before is written down whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from lbproxy.errors import InstanceError
from lbproxy.instance.change import Change, current, decode, digest, encode


@pytest.fixture
def change(tmp_path: Path) -> Change:
    return Change(tmp_path, ".", "cert.key", b"new", 0o640)


def test_a_file_as_it_is_now(change: Change) -> None:
    assert current(change).content is None
    assert not change.is_made(current(change))
    change.path.write_bytes(b"new")
    change.path.chmod(0o600)
    now = current(change)
    assert (now.content, now.mode, now.uid, now.gid) == (
        b"new",
        0o600,
        change.path.stat().st_uid,
        change.path.stat().st_gid,
    )
    assert not change.is_made(now), "the mode is another"
    assert now.is_made(current(change))


def test_what_is_no_file(change: Change, tmp_path: Path) -> None:
    change.path.mkdir()
    with pytest.raises(InstanceError, match=r"cert\.key: "):
        current(change)
    change.path.rmdir()
    change.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InstanceError, match=r"cert\.key: is a symbolic link"):
        current(change)


def test_written_down_and_read(change: Change) -> None:
    files = [change, change._replace(below="lib", content=None), change._replace(content=bytes(range(256)), uid=7)]
    assert decode(encode(files)) == files
    with pytest.raises(ValidationError):
        decode(encode(files)[:-9])


def test_digest() -> None:
    assert digest(None) == ""
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
