"""Files of an installation: regular ones of a sane size, and no link on the way."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from lbproxy.errors import InstanceError
from lbproxy.instance import reading
from lbproxy.instance.model import FOLDER, Area


def test_reads_a_file_with_its_mode(tmp_path: Path) -> None:
    (tmp_path / "certs").mkdir()
    path = tmp_path / "certs" / "cert.key"
    path.write_bytes(b"key")
    path.chmod(0o4640)
    file = reading.file_below(tmp_path, "certs/cert.key", secret=True)
    assert (file.content, file.mode, file.path, file.secret) == (b"key", 0o640, "certs/cert.key", True)


def test_a_link_is_not_followed_at_the_end_or_on_the_way(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("x")
    (tmp_path / "link").symlink_to("real/file")
    (tmp_path / "folder").symlink_to("real")
    for path in ("link", "folder/file"):
        with pytest.raises(InstanceError, match=r"is a symbolic link"):
            reading.file_below(tmp_path, path)
    with pytest.raises(InstanceError, match="is a symbolic link"):
        reading.tree(tmp_path, "folder")


def test_the_directory_itself_may_be_behind_a_link(tmp_path: Path) -> None:
    (tmp_path / "6.1.2").mkdir()
    (tmp_path / "6.1.2" / "file").write_text("x")
    (tmp_path / "current").symlink_to("6.1.2")
    assert reading.file_below(tmp_path / "current", "file").content == b"x"


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for name in ("fifo", "socket"):
            with pytest.raises(InstanceError, match=f"{name}: not a regular file"):
                reading.file_below(tmp_path, name)
    with pytest.raises(InstanceError, match="not a regular file"):
        reading.file_below(Path("/dev"), "zero")
    with pytest.raises(InstanceError, match="missing: No such file"):
        reading.file_below(tmp_path, "missing")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mknod(tmp_path / "watchdog", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    opened = []
    monkeypatch.setattr("os.open", lambda path, *_, **__: opened.append(path))
    with pytest.raises(InstanceError, match="not a regular file"):
        reading.alone(tmp_path / "watchdog", Area.PROGRAM, secret=False)
    assert opened == []


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(reading.LARGEST_FILE + 1)
    with pytest.raises(InstanceError, match="huge: larger than 16 MiB"):
        reading.file_below(tmp_path, "huge")


def test_a_tree_has_every_file_but_those_of_a_transaction(tmp_path: Path) -> None:
    for path in ("views/a.ejs", "views/parts/b.ejs", f"views/{FOLDER}/secret"):
        (tmp_path / path).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / path).write_text("x")
    assert [file.path for file in reading.tree(tmp_path, "views")] == ["views/a.ejs", "views/parts/b.ejs"]
    assert reading.tree(tmp_path, "public") == []


def test_a_tree_without_end_is_refused(tmp_path: Path) -> None:
    for number in range(reading.MOST_FILES + 1):
        (tmp_path / str(number)).touch()
    with pytest.raises(InstanceError, match="too many files"):
        reading.tree(tmp_path, ".")


def test_directories_within_each_other_without_end_are_refused(tmp_path: Path) -> None:
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1100):  # more than Python may call
        os.mkdir("a", dir_fd=at)
        below = os.open("a", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    with pytest.raises(InstanceError, match="too many directories within each other"):
        reading.tree(tmp_path, ".")
    subprocess.run(["rm", "-rf", tmp_path / "a"], check=True)  # shutil cannot


def test_a_file_that_an_administrator_names_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("x")
    (tmp_path / "link").symlink_to("real")
    assert reading.alone(tmp_path / "link", Area.KEYTAB, secret=True).key == (Area.KEYTAB, "")
    with pytest.raises(InstanceError, match="missing"):
        reading.alone(tmp_path / "missing", Area.KEYTAB, secret=True)


def test_a_shared_secret_is_long_and_not_for_everybody(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("short\n")
    with pytest.raises(InstanceError, match=r"too short for a key; make one with `openssl rand -hex 32`"):
        reading.shared_secret(path)
    path.write_text("0" * 64 + "\n")
    path.chmod(0o644)
    with pytest.raises(InstanceError, match="everybody on this host may read it"):
        reading.shared_secret(path)
    path.chmod(0o640)
    assert reading.shared_secret(path) == b"0" * 64


def test_makes_directories_on_the_way(tmp_path: Path) -> None:
    with reading.opened(tmp_path, "a/b", make=True) as at:
        assert os.listdir(at) == []  # noqa: PTH208  # a descriptor
    assert (tmp_path / "a" / "b").is_dir()
    assert reading.exists(tmp_path, "a/b")
    assert not reading.exists(tmp_path, "a/c")
