"""The files of an Auth0 connector: which there are, which a pack may bring, and what stays as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lbproxy.errors import InstanceError
from lbproxy.instance.kinds.auth0 import Auth0
from lbproxy.instance.model import Area, File, Where, find
from tests.instance.connector import Connector
from tests.instance.test_processes import started

KIND = Auth0()


@pytest.fixture
def connector(tmp_path: Path) -> Connector:
    return Connector.make(tmp_path / "c")


def paths(files: list[File]) -> set[str]:
    return {str(file) for file in files}


def test_what_belongs_to_it(connector: Connector, tmp_path: Path) -> None:
    authorities = tmp_path / "authorities"
    authorities.mkdir()
    for name in ("corp.pem", "notes.txt"):
        (authorities / name).write_text("x")
    (authorities / "system.pem").symlink_to("corp.pem")
    connector.set(SSL_CA_PATH=str(authorities))
    for name in ("env", "keytab"):
        (tmp_path / name).write_text("A=1")
    where = Where(connector.directory, environment=tmp_path / "env", keytab=tmp_path / "keytab")
    assert paths(KIND.gather(where)) == {
        "program version", "program program", "environment", "keytab", "ca corp.pem", "config.json",
        "lib/profileMapper.js", "certs/cert.pem", "certs/cert.key", "views/login.ejs",
    }  # fmt: skip


def test_only_what_everybody_sees_is_not_secret(connector: Connector) -> None:
    secret = {file.path for file in KIND.gather(Where(connector.directory)) if file.secret}
    assert secret == {"config.json", "certs/cert.key"}


@pytest.mark.parametrize("below", [True, False])
def test_keys_are_no_authorities(connector: Connector, tmp_path: Path, below: bool) -> None:
    place = connector.directory / "ca" if below else tmp_path / "root"
    place.mkdir()
    (place / "key.pem").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----\n")
    connector.set(SSL_CA_PATH="ca" if below else str(place))
    with pytest.raises(InstanceError, match=r"has a private key, .*key\.pem; put the certificates apart"):
        KIND.gather(Where(connector.directory))


def test_authorities_below_the_folder(connector: Connector) -> None:
    (connector.directory / "ca").mkdir()
    (connector.directory / "ca" / "corp.crt").write_text("x")
    connector.set(SSL_CA_PATH="./ca")
    files = KIND.gather(Where(connector.directory))
    assert "ca/corp.crt" in paths(files)
    assert KIND.understand(files).values["authorities"].keys() == {"ca/corp.crt"}
    connector.set(SSL_CA_PATH="../ca")
    with pytest.raises(InstanceError, match=r"SSL_CA_PATH: \.\./ca leads out of"):
        KIND.gather(Where(connector.directory))


@pytest.mark.parametrize("expression", ["(a+)+$", "(.*)*x", "a*a*a*a*b", "(x{1,9}){9}", "("])
def test_an_expression_that_would_take_for_ever(connector: Connector, expression: str) -> None:
    """The connector's account writes config.json and the names of files, and root may look at them."""
    (connector.directory / "ca").mkdir()
    (connector.directory / "ca" / f"{'a' * 200}!").write_text("x")
    connector.set(SSL_CA_PATH="ca", SSL_CA_FILE=expression)
    with pytest.raises(InstanceError, match="SSL_CA_FILE: "):
        KIND.gather(Where(connector.directory))


def test_what_is_no_connector(tmp_path: Path) -> None:
    with pytest.raises(InstanceError, match=r"package.json: No such file"):
        KIND.gather(Where(tmp_path))
    for package in ("[]", "{}", "x", r'{"name": "ad-ldap-connector", "version": "\ud800"}'):
        (tmp_path / "package.json").write_text(package)
        with pytest.raises(InstanceError, match="is not that of a connector"):
            KIND.gather(Where(tmp_path))
    (tmp_path / "package.json").write_text('{"name": "express", "version": "1"}')
    with pytest.raises(InstanceError, match="is the folder of 'express'"):
        KIND.gather(Where(tmp_path))


def test_one_without_settings(tmp_path: Path) -> None:
    connector = Connector.install(tmp_path / "c")
    with pytest.raises(InstanceError, match=r"has no config\.json; start the connector there once"):
        KIND.gather(Where(connector.directory))
    assert "config.json" not in paths(KIND.gather(Where(connector.directory), new=True))


def test_a_link_in_its_place_is_refused(connector: Connector) -> None:
    view = connector.directory / "views" / "login.ejs"
    view.rename(view.with_suffix(".real"))
    view.symlink_to("login.real")
    with pytest.raises(InstanceError, match=r"views/login\.ejs: is a symbolic link"):
        KIND.gather(Where(connector.directory))


def test_another_program_of_the_same_version_is_noticed(connector: Connector) -> None:
    before = find(KIND.gather(Where(connector.directory)), Area.PROGRAM, "program")
    (connector.directory / "lib" / "profileMapper.js").write_text("// the administrator's own\n")
    assert find(KIND.gather(Where(connector.directory)), Area.PROGRAM, "program") == before
    (connector.directory / "lib" / "initConf.js").write_text("// another\n")
    assert find(KIND.gather(Where(connector.directory)), Area.PROGRAM, "program") != before


def test_its_port_stays_and_the_rest_is_as_packed(connector: Connector, tmp_path: Path) -> None:
    here = Connector.make(tmp_path / "here", port=4001, SERVER_URL="https://old", FIREWALL_RULE_CREATED=True)
    packed, present = (KIND.gather(Where(one.directory)) for one in (connector, here))
    adapted = KIND.adapt(packed, present, None)
    config = json.loads(_content(adapted, Area.INSTANCE, "config.json"))
    assert config == {**connector.config, "PORT": 4001, "FIREWALL_RULE_CREATED": True}
    assert KIND.port(adapted) == 4001
    assert KIND.port(KIND.adapt(packed, present, 4002)) == 4002
    assert KIND.port(KIND.adapt(packed, [], None)) == 4000
    assert not [file for file in adapted if file.area is Area.PROGRAM]


def test_variables_of_the_host_stay(connector: Connector, tmp_path: Path) -> None:
    (tmp_path / "packed").write_text("PORT=4000\nSERVER_URL=https://login\nNODE=1\n")
    (tmp_path / "here").write_text("PORT=4001\nSERVER_URL=https://old\nLDAP_URL=ldap://old\nPATH=/opt/node\n")
    packed, present = (
        KIND.gather(Where(connector.directory, environment=tmp_path / name)) for name in ("packed", "here")
    )
    adapted = KIND.adapt(packed, present, None)
    assert _content(adapted, Area.ENVIRONMENT) == (b"PORT=4001\nSERVER_URL=https://login\nNODE=1\nPATH=/opt/node\n"), (
        "a variable that overrides what was packed is gone"
    )


def _content(files: list[File], area: Area, path: str = "") -> bytes:
    file = find(files, area, path)
    assert file is not None
    return file.content


@pytest.mark.parametrize(
    "path",
    ["server.js", "package.json", "node_modules/x/index.js", "lib/ldap.js", "certs", "connector-setup/index.js", "x/y"],
)
def test_a_pack_brings_no_program(connector: Connector, path: str) -> None:
    files = KIND.gather(Where(connector.directory))
    with pytest.raises(InstanceError, match="is no file of a connector that a pack may have"):
        KIND.place(File(Area.INSTANCE, path, b"", 0o644, False), Where(connector.directory), files)


def test_files_outside_go_only_where_somebody_says(connector: Connector, tmp_path: Path) -> None:
    connector.set(SSL_CA_PATH="/etc/ssl/corp")
    config = File(Area.INSTANCE, "config.json", (connector.directory / "config.json").read_bytes(), 0o600, True)
    where = Where(connector.directory)
    for area, problem in ((Area.ENVIRONMENT, "--environment FILE"), (Area.KEYTAB, "--keytab FILE"),
                          (Area.CA, "add --ca-path /etc/ssl/corp")):  # fmt: skip
        with pytest.raises(InstanceError, match=problem):
            KIND.place(File(area, "a.pem" if area is Area.CA else "", b"", 0o600, True), where, [config])
    where = Where(connector.directory, authorities=Path("/etc/ssl/corp"), keytab=tmp_path / "k")
    assert KIND.place(File(Area.CA, "a.pem", b"", 0o644, False), where, [config]) == Path("/etc/ssl/corp/a.pem")
    assert KIND.place(File(Area.KEYTAB, "", b"", 0o600, True), where, [config]) == tmp_path / "k"


def test_what_runs_with_other_settings_than_the_files_have_is_noticed(connector: Connector, tmp_path: Path) -> None:
    server = connector.directory / "server.js"
    server.write_text("import sys\nprint('runs', flush=True)\nsys.stdin.read()\n")
    where = Where(connector.directory)
    with started([str(server)], tmp_path, {"SERVER_URL": "https://elsewhere", "PORT": "1", "PATH": "/bin"}):
        problems = KIND.inspect(where, KIND.gather(where)).problems
    assert len(problems) == 2
    assert f"runs in {tmp_path.resolve()}, where it writes certs/" in problems[0]
    assert problems[1].startswith("SERVER_URL: process ")
    with started([str(server)], connector.directory, {}):
        assert KIND.inspect(where, KIND.gather(where)).problems == []
