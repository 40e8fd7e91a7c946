"""A list of paths of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.errors import InstanceError
from lbproxy.instance import digests
from lbproxy.instance.kinds import load
from lbproxy.instance.kinds.files import Files
from lbproxy.instance.model import Area, File, Where

KIND = Files()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for path in ("etc/app.conf", "etc/keys/app.key", "log"):
        (tmp_path / path).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / path).write_text(path)
    return tmp_path


def test_takes_files_and_directories(directory: Path) -> None:
    files = KIND.gather(Where(directory, paths=("etc", "./log"), secrets=("etc/keys",)))
    assert {(file.path, file.secret) for file in files} == {
        ("etc/app.conf", False), ("etc/keys/app.key", True), ("log", False),
    }  # fmt: skip


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "etc/../../x", ".", ""])
def test_a_path_stays_below_the_directory(directory: Path, path: str) -> None:
    with pytest.raises(InstanceError, match="write it as a path below"):
        KIND.gather(Where(directory, paths=(path,)))


def test_a_list_is_needed_and_what_is_on_it(directory: Path) -> None:
    with pytest.raises(InstanceError, match="the kind files needs a list"):
        KIND.gather(Where(directory))
    with pytest.raises(InstanceError, match="missing: No such file"):
        KIND.gather(Where(directory, paths=("missing",)))
    assert KIND.gather(Where(directory, paths=("missing",)), new=True) == []


def test_what_is_secret_is_a_fact_only_under_a_key(directory: Path) -> None:
    where = Where(directory, paths=("etc/app.conf",), secrets=("etc/keys",))
    instance = load("files", where)
    assert digests.facts(instance, digests.digest_key(instance.material)).keys() == {"files"}
    key = directory / "digest.key"
    key.write_text("0" * 64)
    key.chmod(0o600)
    instance = load("files", Where(directory, paths=where.paths, secrets=where.secrets, digest_key=key))
    assert digests.facts(instance, digests.digest_key(instance.material)).keys() == {"files", "secrets"}


def test_only_what_is_listed_is_written(directory: Path) -> None:
    file = File(Area.INSTANCE, "etc/app.conf", b"", 0o644, False)
    assert KIND.place(file, Where(directory, paths=("etc",)), []) == directory / "etc/app.conf"
    with pytest.raises(InstanceError, match=r"add --path etc/app\.conf"):
        KIND.place(file, Where(directory, paths=("et",)), [])
