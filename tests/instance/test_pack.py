"""A pack: what it tells, what it keeps, and what is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.errors import InstanceError
from lbproxy.instance import pack
from lbproxy.instance.kinds import load
from lbproxy.instance.model import FOLDER, Area, File, Instance, Where
from lbproxy.instance.sealing import Identity
from tests.instance.connector import PASSWORD, SECRET, Connector


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return load("auth0", Where(Connector.make(tmp_path / "c").directory))


@pytest.fixture
def path(tmp_path: Path, instance: Instance, identity: Identity) -> Path:
    pack.write(instance, identity, tmp_path / "c.pack")
    return tmp_path / "c.pack"


def test_has_every_file_and_nothing_in_plain_text(path: Path, instance: Instance, identity: Identity) -> None:
    assert pack.read(path).open(identity) == list(instance.files)
    content = path.read_bytes()
    for secret in (SECRET, PASSWORD, "secretticket", "svc-auth0", "dc.corp.example", "PRIVATE KEY"):
        assert secret.encode() not in content
    assert path.stat().st_mode & 0o777 == 0o600


def test_its_manifest_can_be_read_without_the_key(path: Path) -> None:
    manifest = pack.read(path).manifest
    assert manifest.kind == "auth0"
    assert manifest.values["server_url"] == {"SERVER_URL": "https://login.corp.example"}
    assert manifest.facts["session_secret"].startswith("hmac:")
    digests = {entry.path: entry.digest.partition(":")[0] for entry in manifest.files if entry.area is Area.INSTANCE}
    assert digests["config.json"] == digests["certs/cert.key"] == "hmac"
    assert digests["lib/profileMapper.js"] == "sha256"


@pytest.mark.parametrize("name", [b"\xff.ejs", b"a\nb.ejs", b"a\\b.ejs"])
def test_a_name_that_no_pack_may_have(tmp_path: Path, instance: Instance, identity: Identity, name: bytes) -> None:
    """It is refused where it can be renamed, and not on the other host."""
    (tmp_path / "c" / "views" / os.fsdecode(name)).touch()
    with pytest.raises(InstanceError, match="the instance: has a path that is not fit: 'views/"):
        pack.write(load("auth0", Where(tmp_path / "c")), identity, tmp_path / "c.pack")
    assert not (tmp_path / "c.pack").exists()


@pytest.mark.parametrize("name", [".", "/", "file/c.pack", "x" * 300, "directory"])
def test_a_place_that_is_none(tmp_path: Path, instance: Instance, identity: Identity, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    before = sorted(one.name for one in tmp_path.iterdir())
    with pytest.raises(InstanceError):
        pack.write(instance, identity, tmp_path / name)
    assert sorted(one.name for one in tmp_path.iterdir()) == before


def test_takes_the_place_of_one_that_is_there(path: Path, instance: Instance, identity: Identity) -> None:
    before = pack.read(path).manifest.id
    pack.write(instance, identity, path)
    assert pack.read(path).manifest.id != before
    assert [one.name for one in path.parent.iterdir() if "pack" in one.name] == ["c.pack"]
    with pytest.raises(InstanceError, match=r"no/where\.pack: No such file"):
        pack.write(instance, identity, Path("no/where.pack"))


@pytest.mark.parametrize("keep", [0, 10, 40, 400])
def test_one_that_is_cut_before_its_files(path: Path, keep: int) -> None:
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InstanceError, match=r"is not a pack|is cut"):
        pack.read(path)


@pytest.mark.parametrize("part", [0.7, 0.999])
def test_one_that_is_cut_in_its_files(path: Path, identity: Identity, part: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(InstanceError, match="is cut or damaged"):
        pack.read(path).open(identity)


def _replaced(before: bytes, after: bytes) -> Callable[[bytes], bytes]:
    return lambda content: content.replace(before, after, 1)


OTHERS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "another version": (_replaced(b"pack 1\n", b"pack 2\n"), "is a pack of format 2; this lbproxy reads format 1"),
    "no pack": (lambda _: b"PK\3\4", "is not a pack"),
    "no JSON": (_replaced(b'{"kind"', b"{kind"), "its manifest is damaged"),
    "another area": (_replaced(b'"area":"program"', b'"area":"system"'), "its manifest is damaged: files.0.area"),
    "no kind": (_replaced(b'"kind":"auth0"', b'"sort":"auth0"'), "its manifest is damaged: kind"),
    "endless": (lambda content: content[:24] + b" " * 2_000_000 + content[24:], "its manifest is too long"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_no_pack_of_ours(path: Path, what: str) -> None:
    change, problem = OTHERS[what]
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InstanceError, match=problem):
        pack.read(path)


def test_a_manifest_that_was_exchanged_is_noticed(path: Path, identity: Identity) -> None:
    path.write_bytes(path.read_bytes().replace(b"login.corp.example", b"login.evil.example"))
    with pytest.raises(InstanceError, match="its manifest is not the one that was packed"):
        pack.read(path).open(identity)


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_whatever_was_changed_is_noticed(part: float, change: int) -> None:
    key = pyrage.x25519.Identity.generate()
    identity = Identity(key, key.to_public())
    instance = Instance("auth0", {}, [File(Area.INSTANCE, "certs/cert.key", b"key", 0o600, True)])
    with TemporaryDirectory() as folder:
        path = Path(folder, "c.pack")
        pack.write(instance, identity, path)
        content = bytearray(path.read_bytes())
        content[int(part * len(content))] ^= change
        path.write_bytes(content)
        with pytest.raises(InstanceError):
            pack.read(path).open(identity)


def _file(path: str, area: Area = Area.INSTANCE) -> File:
    return File(area, path, b"", 0o644, False)


@pytest.mark.parametrize(
    "files",
    [
        [_file("../etc/passwd")],
        [_file("certs/../../x")],
        [_file("/etc/passwd")],
        [_file("certs//x")],
        [_file("./x")],
        [_file("")],
        [_file("a\\b")],
        [_file("a\nb")],
        [_file("a\x00b")],
        [_file(f"{FOLDER}/journal.json")],
        [_file("x", Area.KEYTAB)],
        [_file("x" * 2000)],
        [_file("a"), _file("a")],
        [_file("certs"), _file("certs/x")],
        [_file("certs/x"), _file("certs")],
    ],
    ids=lambda files: "+".join(file.path for file in files)[:30] or "none",
)
def test_paths_that_lead_elsewhere(files: list[File], tmp_path: Path, instance: Instance, identity: Identity) -> None:
    """Sealed by somebody who knows the public key, as packs that lbproxy writes have no such paths."""
    line = pack.make_manifest(instance).model_dump_json().encode()
    sealed = identity.seal(pack.payload(files, line))
    path = tmp_path / "c.pack"
    path.write_bytes(b"lbproxy instance pack 1\n" + line + b"\n" + sealed)
    path.chmod(0o600)
    with pytest.raises(InstanceError, match=r"not fit|twice|below a file"):
        pack.read(path).open(identity)


def test_too_much_is_refused() -> None:
    with pytest.raises(InstanceError, match="too many files"):
        pack.check_paths([_file(str(number)) for number in range(3000)], "p")
    with pytest.raises(InstanceError, match="is too large"):
        pack.check_paths([File(Area.INSTANCE, "a", bytes(17 * 1024 * 1024), 0o644, False)], "p")


def test_modes_have_permission_bits_only(tmp_path: Path, instance: Instance, identity: Identity) -> None:
    line = pack.make_manifest(instance).model_dump_json().encode()
    content = json.loads(pack.payload([_file("a")], line))
    content["files"][0]["mode"] = 0o104755
    path = tmp_path / "c.pack"
    path.write_bytes(b"lbproxy instance pack 1\n" + line + b"\n" + identity.seal(json.dumps(content).encode()))
    path.chmod(0o600)
    assert pack.read(path).open(identity)[0].mode == 0o755


def test_what_is_sealed_is_no_payload(tmp_path: Path, instance: Instance, identity: Identity) -> None:
    line = pack.make_manifest(instance).model_dump_json().encode()
    for content in (b"", b"[]", b'{"manifest": "x", "files": [{"area": "instance", "path": "a"}]}'):
        path = tmp_path / "c.pack"
        path.write_bytes(b"lbproxy instance pack 1\n" + line + b"\n" + identity.seal(content))
        path.chmod(0o600)
        with pytest.raises(InstanceError, match="is damaged"):
            pack.read(path).open(identity)


def test_one_that_others_may_have_written(path: Path) -> None:
    path.chmod(0o620)
    with pytest.raises(InstanceError, match="others may write it"):
        pack.read(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_one_of_another_user(path: Path) -> None:
    os.chown(path, 65534, 65534)
    with pytest.raises(InstanceError, match="belongs to another user"):
        pack.read(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name, problem in (("fifo", "not a regular file"), ("missing", "No such file"), (".", "Is a directory")):
        with pytest.raises(InstanceError, match=problem):
            pack.read(tmp_path / name)
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    with pytest.raises(InstanceError, match="larger than"):
        pack.read(tmp_path / "huge")


def test_a_pack_is_known_by_its_beginning(path: Path, tmp_path: Path) -> None:
    assert pack.is_pack(path)
    assert not pack.is_pack(tmp_path)
    (tmp_path / "x").write_text("{}")
    assert not pack.is_pack(tmp_path / "x")
