"""What an apply would do, and why it may not."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from lbproxy.instance.kinds import load
from lbproxy.instance.model import File, Where
from lbproxy.instance.plan import Plan, make_plan
from tests.instance.connector import Connector, with_certificates
from tests.instance.test_processes import started
from tests.pki import self_signed


@pytest.fixture
def free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.fixture
def first(tmp_path: Path, free: int) -> Connector:
    return Connector.make(tmp_path / "first", port=free)


@pytest.fixture
def second(tmp_path: Path) -> Connector:
    return Connector.install(tmp_path / "second")


def files(connector: Connector, environment: Path | None = None) -> list[File]:
    return list(load("auth0", Where(connector.directory, environment)).files)


def plan(first: Connector, second: Connector, port: int | None = None) -> Plan:
    return make_plan("auth0", files(first), Where(second.directory), port)


def actions(made: Plan) -> dict[str, str]:
    return {one.change.path.name: one.action for one in made.planned}


def test_a_file_that_is_a_mount_point(first: Connector, mounted: Callable[[Path], None], tmp_path: Path) -> None:
    """A rename to its place would fail when others have changed already."""
    spaced = Connector.install(tmp_path / "the second")
    (spaced.directory / "config.json").write_text("{}")
    assert plan(first, spaced).problems == []
    mounted(spaced.directory / "config.json")
    (problem,) = plan(first, spaced).problems
    assert problem.startswith(f"{spaced.directory / 'config.json'}: is a mount point, which cannot be replaced")


def test_a_new_instance(first: Connector, second: Connector, free: int) -> None:
    (second.directory / "config.json").touch(mode=0o644)
    (second.directory / "config.json").write_text("{}")
    made = plan(first, second)
    assert (made.problems, made.warnings) == ([], [])
    assert made.kept == {"PORT": str(free)}
    assert actions(made) == {
        "config.json": "changed",
        "profileMapper.js": "changed",
        "cert.key": "new",
        "cert.pem": "new",
        "login.ejs": "changed",
    }
    modes = {one.change.path.name: one.change.mode for one in made.planned}
    assert modes["config.json"] & 0o007 == 0, "nobody else reads the secrets"
    assert modes["cert.key"] == 0o600


def test_the_same_again_is_nothing(first: Connector, tmp_path: Path) -> None:
    for path in first.directory.rglob("*"):
        path.chmod(path.stat().st_mode & ~0o007)
    made = plan(first, first)
    assert set(actions(made).values()) == {"same"}
    assert made.changes == []


def _another_version(_: Connector, second: Connector) -> None:
    (second.directory / "package.json").write_text('{"name": "ad-ldap-connector", "version": "6.0.0"}')


def _another_program(_: Connector, second: Connector) -> None:
    (second.directory / "lib" / "initConf.js").write_text("// patched\n")


def _not_started(first: Connector, _: Connector) -> None:
    first.set(LDAP_BIND_PASSWORD="x")


def _other_key(first: Connector, _: Connector) -> None:
    (first.directory / "certs" / "cert.key").write_bytes(self_signed("other").key_pem)


def _link(_: Connector, second: Connector) -> None:
    (second.directory / "certs").symlink_to("/etc")


def _device(_: Connector, second: Connector) -> None:
    (second.directory / "certs").mkdir()
    os.mkfifo(second.directory / "certs" / "cert.key")


BAD: dict[str, tuple[Callable[[Connector, Connector], None], str]] = {
    "another version": (_another_version, "version: 6.0.0 is installed here, and the pack is of 6.1.2"),
    "another program": (_another_program, "program: both say that they are 6.1.2, and their files are not the same"),
    "not started": (_not_started, "has not started once"),
    "a key that does not fit": (_other_key, "the key is not the certificate's"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_keeps_it_from_being_applied(first: Connector, second: Connector, what: str) -> None:
    change, problem = BAD[what]
    change(first, second)
    assert problem in "\n".join(plan(first, second).problems)


@pytest.mark.parametrize("change", [_link, _device])
def test_a_link_or_a_device_in_the_way_is_refused(
    first: Connector, second: Connector, change: Callable[[Connector, Connector], None]
) -> None:
    change(first, second)
    with pytest.raises(Exception, match=r"certs.*(is a symbolic link|not a regular file)"):
        plan(first, second)


def test_a_port_that_is_taken(first: Connector, second: Connector, free: int) -> None:
    with socket.create_server(("127.0.0.1", free)):
        (problem,) = plan(first, second).problems
        assert problem.startswith(
            f"PORT: {free} cannot be used: Address already in use; choose another one with --port"
        )
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = other.getsockname()[1]
            assert f"PORT: {taken} cannot be used" in "\n".join(plan(first, second, taken).problems)


def test_its_own_port_may_be_in_use(first: Connector) -> None:
    server = first.directory / "server.js"
    server.write_text("import sys\nprint('runs', flush=True)\nsys.stdin.read()\n")
    port = int(first.config["PORT"])
    with started([str(server)], first.directory, {}) as pid, socket.create_server(("127.0.0.1", port)):
        made = plan(first, first)
    assert made.problems == []
    assert f"the connector runs (process {pid}): restart it" in "\n".join(made.warnings)


def test_a_variable_that_overrides_what_is_packed(first: Connector, second: Connector, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("SERVER_URL=https://elsewhere\n")
    made = make_plan("auth0", files(first), Where(second.directory, environment=tmp_path / "env"), None)
    assert "SERVER_URL: would still not be as packed" in "\n".join(made.problems)


def test_files_outside_need_a_place(first: Connector, second: Connector, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("MAX_HEADER_SIZE=131072\n")
    packed = files(first, environment=tmp_path / "env")
    assert "--environment FILE" in "\n".join(make_plan("auth0", packed, Where(second.directory), None).problems)
    made = make_plan("auth0", packed, Where(second.directory, environment=tmp_path / "new"), None)
    assert (made.problems, actions(made)["new"]) == ([], "new")


def test_two_files_of_one_place_are_refused(first: Connector, second: Connector, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("MAX_HEADER_SIZE=131072\n")
    packed = files(first, environment=tmp_path / "env")
    (tmp_path / "link").symlink_to(second.directory)
    where = Where(second.directory, environment=tmp_path / "link" / "config.json")
    problems = make_plan("auth0", packed, where, None).problems
    assert f"{second.directory}/config.json: is named for two files of the pack" in problems


def test_a_pack_with_certificates(first: Connector, second: Connector) -> None:
    with_certificates(first)
    assert plan(first, second).problems == []
    first.set(SSL_KEY_PASSWORD="wrong")
    assert "SSL_PFX: cannot be opened" in "\n".join(plan(first, second).problems)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees that others own files")
def test_new_files_belong_to_whom_the_folder_belongs(first: Connector, second: Connector) -> None:
    os.chown(second.directory, 1234, 2345)
    os.chown(second.directory / "views" / "login.ejs", 0, 0)
    owners = {one.change.path.name: (one.change.uid, one.change.gid) for one in plan(first, second).planned}
    assert owners["config.json"] == owners["cert.key"] == (1234, 2345)
    assert owners["login.ejs"] == (0, 0), "as it was"
