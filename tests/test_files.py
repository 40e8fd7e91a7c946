from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from lbproxy import files

MIB = 1024 * 1024


def why(path: Path, limit: int = files.USUAL) -> str:
    """Why a file is refused, by reading it; `check` has to say the same."""
    with pytest.raises(OSError, match=r".") as read:
        files.read(path, limit)
    assert read.value.filename == str(path)
    return str(read.value.strerror)


def test_reads_a_file_whole_and_through_links(tmp_path: Path) -> None:
    path, link = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"\0" * MIB)
    link.symlink_to(path)
    files.check(link, MIB)
    assert files.read(link, MIB) == b"\0" * MIB


def test_a_file_of_proc_has_no_size_and_is_read() -> None:
    assert files.read(Path("/proc/self/stat")).startswith(str(os.getpid()).encode())


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert why(tmp_path / "none") == "No such file or directory"


def test_a_fifo_does_not_block(tmp_path: Path) -> None:
    """Nobody writes to it: a plain open would wait for ever."""
    os.mkfifo(tmp_path / "fifo")
    assert why(tmp_path / "fifo") == "not a regular file"
    with pytest.raises(OSError, match="not a regular file"):
        files.check(tmp_path / "fifo")


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_a_device_is_not_opened(path: str) -> None:
    assert why(Path(path)) == "not a regular file"


def test_a_directory(tmp_path: Path) -> None:
    assert why(tmp_path) == os.strerror(errno.EISDIR)


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    path.touch()
    os.truncate(path, MIB + 1)
    assert why(path, MIB) == "larger than 1 MiB, so it is not what it should be"
    with pytest.raises(OSError, match="larger than 1 MiB"):
        files.check(path, MIB)


def test_what_has_no_size_is_cut_off_at_the_limit() -> None:
    assert why(Path("/proc/self/environ"), 1).startswith("larger than 0 MiB")


def test_a_stamp_tells_of_another_file_other_content_and_other_permissions(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    assert files.stamp(path) is None
    path.write_text("one")
    link.symlink_to(path)
    seen = [files.stamp(link)]
    assert seen == [files.stamp(path)]
    path.chmod(0o600)
    seen.append(files.stamp(link))
    with path.open("a") as file:
        file.write(" more")
    seen.append(files.stamp(link))
    (tmp_path / "other").write_text("one more")
    (tmp_path / "other").rename(path)
    seen.append(files.stamp(link))
    assert len(set(seen)) == len(seen)


def test_a_file_in_memory_is_read_from_its_beginning_and_not_inherited() -> None:
    descriptor = files.in_memory("lbproxy-test", b"what is told")
    try:
        assert not os.get_inheritable(descriptor)
        assert str(Path(f"/proc/self/fd/{descriptor}").readlink()).startswith("/memfd:lbproxy-test")
        assert os.read(descriptor, 100) == b"what is told"
    finally:
        os.close(descriptor)
