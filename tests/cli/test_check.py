from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner, Result

from lbproxy.cli import main
from tests.pki import DAY, HOUR, Authority, write_crls

REFERENCE = Path(__file__).parents[2] / "config" / "lbproxy.toml"

PASSTHROUGH = """
server_url = "https://a.example"
[listener.raw]
bind = "127.0.0.1:8443"
mode = "sni"
sni = { "a.example" = "one", "*.b.example" = "two" }
[pool.one]
backends = [{ name = "c1", url = "tcp://10.0.0.11:4000" }]
check.kind = "tls"
[pool.two]
backends = [{ name = "c1", url = "tcp://10.0.0.11:4000" }]
check.kind = "tcp"
[admin]
bind = "unix:admin.sock"
"""

REGISTERED = """
server_url = "http://a.example"
[listener.a]
bind = "127.0.0.1:8080"
pool = "a"
[pool.a]
discover = {{ kind = "etcd" }}
[pool.b]
discover = {{ kind = "file", path = "list.json" }}
[fleet]
name = "check-connect"
etcd = ["{etcd}"]
[admin]
bind = "unix:admin.sock"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """config/lbproxy.toml with the certificate and key that it names, and a socket below the test's directory.

    Everybody may read them; pytest's own directories, and pytest-xdist's, are its user's.
    """
    for directory in (tmp_path, *tmp_path.parents):
        if directory.name.startswith(("pytest-", "popen-", "test_")):
            directory.chmod(0o755)
    path = tmp_path / "lbproxy.toml"
    path.write_text(REFERENCE.read_text().replace('#bind = "unix:/run/lbproxy/', 'bind = "unix:'))
    leaf = trustme.CA().issue_cert("login.corp.example", common_name="login")
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "login.pem").write_bytes(leaf.cert_chain_pems[0].bytes())
    (tmp_path / "certs" / "login.key").write_bytes(leaf.private_key_pem.bytes())
    return path


def check(path: Path, *options: str) -> Result:
    command = ["check", "-c", str(path), *options]
    return CliRunner(env={"COLUMNS": "160"}).invoke(main, command, catch_exceptions=False)


def at(path: Path, text: str) -> str:
    """FILE:LINE of the first line that begins with `text`."""
    [line, *_] = (number for number, line in enumerate(path.read_text().splitlines(), 1) if line.startswith(text))
    return f"{path}:{line}"


def rows(output: str) -> list[list[str]]:
    """The cells of every table in the output."""
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in output.splitlines() if "│" in line]


def test_a_sound_file_has_a_summary(file: Path) -> None:
    result = check(file)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{file} is fit to run; it serves https://login.corp.example\n")
    found = rows(result.stdout)
    assert ["login", "0.0.0.0:443", "http", "1.2+", "no", "connectors", "login.corp.example"] in found
    assert ["connectors", "c1", "http://10.0.0.11:4000", "GET http://10.0.0.11:4000/"] in found
    assert 'pool.connectors.check.path: "/" is the default, and not every service has it' in result.stdout
    where, what, _, days = found[-1]
    assert (where, what) == ("listener.login.tls.certificate", "certificate of login")
    assert int(days) > 14


def test_the_days_left_of_what_judges_users(file: Path) -> None:
    users = Authority.root("users", ends=100 * DAY + HOUR)
    users.write_certificate(file.parent / "users.pem")
    write_crls(file.parent / "users.crl", users.crl(next_update=20 * DAY + HOUR))
    asked = 'client_certificate = "optional"\nclient_ca = "users.pem"\nclient_crl = ["users.crl"]'
    text = file.read_text().replace('#client_certificate = "none"', asked)
    file.write_text(text.replace('#client_identity = "none"', 'client_identity = "rfc9440"'))
    found = rows(check(file).stdout)
    assert ["login", "0.0.0.0:443", "http", "1.2+", "optional, rfc9440", "connectors", "login.corp.example"] in found
    assert [(where, what, days) for where, what, _, days in found[-2:]] == [
        ("listener.login.tls.client_ca", "certificate of users", "100"),
        ("listener.login.tls.client_crl[0]", "revocation list of users", "20"),
    ]


def test_a_listener_by_server_name(file: Path) -> None:
    path = file.parent / "lbproxy.toml"
    path.write_text(PASSTHROUGH)
    result = check(path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "is the default" not in result.stdout
    assert ["raw", "127.0.0.1:8443", "sni", "no", "no", "one two", "a.example *.b.example"] in rows(result.stdout)


def test_an_address_in_brackets_is_no_markup(file: Path) -> None:
    file.write_text(file.read_text().replace("0.0.0.0:443", "[::]:443").replace("https://10.0.0.12", "http://[fe::1]"))
    found = rows(check(file).stdout)
    assert "[::]:443" in found[0]
    assert ["connectors", "c2", "http://[fe::1]:4000", "GET http://[fe::1]:4000/"] in found


def test_nothing_is_cut_off(file: Path) -> None:
    host = f"{'a' * 63}.{'b' * 63}.{'c' * 63}"
    file.write_text(file.read_text().replace("10.0.0.11", host))
    cells = [row[2] for row in rows(check(file).stdout) if len(row) == 4]
    assert f"http://{host}:4000" in "".join(cells)


def test_every_problem_of_the_file_is_printed(file: Path) -> None:
    file.write_text(file.read_text().replace("0.0.0.0:443", "443").replace("#interval =", "intervall ="))
    result = check(file)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        f"{at(file, 'bind =')}: listener.login.bind: '443' is not host:port, [v6]:port or unix:PATH",
        f"{at(file, 'intervall =')}: pool.connectors.check.intervall: unknown key; did you mean interval?",
    ]


def test_every_problem_of_what_it_names_is_printed(file: Path) -> None:
    (file.parent / "certs" / "login.pem").write_text("junk")
    (file.parent / "certs" / "login.key").unlink()
    result = check(file)
    assert (result.exit_code, result.stdout) == (1, "")
    certs = file.parent / "certs"
    assert result.stderr.splitlines() == [
        f"{at(file, 'certificate =')}: listener.login.tls.certificate: "
        f"{certs}/login.pem holds no usable PEM certificate",
        f"{at(file, 'key =')}: listener.login.tls.key: {certs}/login.key: No such file or directory",
    ]


def test_a_warning_does_not_fail(file: Path) -> None:
    file.write_text(file.read_text().replace("https://login.corp.example", "https://sso.corp.example"))
    result = check(file)
    assert result.exit_code == 0
    assert result.stderr == (
        f"{at(file, 'certificate =')}: listener.login.tls.certificate: warning: "
        "the certificate of login is not for sso.corp.example (server_url)\n"
    )
    assert "is fit to run" in result.stdout


def test_what_is_not_used_is_a_warning(file: Path) -> None:
    file.write_text(file.read_text().replace('#kind = "http"', 'kind = "tls"').replace("#path =", "path ="))
    result = check(file)
    assert result.exit_code == 0
    assert (
        result.stderr
        == f'{at(file, "path =")}: pool.connectors.check.path: warning: has no meaning with kind = "tls"\n'
    )
    assert [row[1:] for row in rows(result.stdout) if row[0] == "connectors"] == [
        ["c1", "http://10.0.0.11:4000", "tcp"],
        ["c2", "https://10.0.0.12:4000", "tls"],
    ]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = check(tmp_path / "none.toml")
    assert result.exit_code == 1
    assert result.stderr == f"{tmp_path}/none.toml: cannot be read: No such file or directory\n"


def test_what_never_ends_or_never_begins_is_not_read(file: Path) -> None:
    os.mkfifo(file.parent / "fifo")
    result = check(file.parent / "fifo")
    assert (result.exit_code, result.stderr) == (1, f"{file.parent}/fifo: cannot be read: not a regular file\n")
    certs = file.parent / "certs"
    (certs / "login.pem").unlink()
    (certs / "login.pem").symlink_to("/dev/zero")
    (certs / "login.key").unlink()
    os.mkfifo(certs / "login.key")
    assert check(file).stderr.splitlines() == [
        f"{at(file, 'certificate =')}: listener.login.tls.certificate: {certs}/login.pem: not a regular file",
        f"{at(file, 'key =')}: listener.login.tls.key: {certs}/login.key: not a regular file",
    ]


def test_the_default_file_is_in_etc() -> None:
    assert "/etc/lbproxy/lbproxy.toml" in CliRunner().invoke(main, ["check", "--help"]).output


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as somebody else")
def test_as_another_user(file: Path) -> None:
    key = file.parent / "certs" / "login.key"
    key.chmod(0o600)
    as_root = check(file)
    assert as_root.exit_code == 0
    assert as_root.stderr == (
        f"{at(file, 'key =')}: listener.login.tls.key: warning: only root can read {key}: "
        "it is open to root alone; --user NAME tells more\n"
    )
    unit = file.parent / "lb.service"
    unit.write_text("[Service]\nUser=nobody\n")
    (file.parent / "run").mkdir()
    for options in (["--user", "nobody"], ["--unit", str(unit)]):
        result = check(file, *options)
        assert result.exit_code == 1
        assert f"listener.login.tls.key: {key}: Permission denied" in result.stderr
    os.chown(key, pwd.getpwnam("nobody").pw_uid, -1)
    os.chown(file.parent, pwd.getpwnam("nobody").pw_uid, -1)
    result = check(file, "--user", "nobody")
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--user", "a", "--unit", "b"], "--user and --unit exclude each other"),
        (["--user", "no-such-user"], "this machine has no user 'no-such-user'"),
        (["--unit", "/nowhere.service"], "/nowhere.service: No such file or directory"),
    ],
)
def test_users_that_nobody_can_look_as(file: Path, options: list[str], problem: str) -> None:
    result = check(file, *options)
    assert result.exit_code == 2
    assert problem in result.stderr


def test_connect_says_whether_extended_protection_can_work(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    text = file.read_text()
    text = text.replace("http://10.0.0.11:4000", "http://127.0.0.1:1")
    file.write_text(text.replace("https://10.0.0.12:4000", f"https://127.0.0.1:{port}"))
    result = CliRunner(env={"COLUMNS": "160"}).invoke(main, ["check", "--connect", "-c", str(file)])
    assert result.exit_code == 0
    tried = [row for row in rows(result.stdout) if len(row) == 5 and row[1] == "c2"]
    assert tried == [["connectors", "c2", "127.0.0.1", "connection refused", "failed: connection refused"]]
    pool, backend, verdict, because = rows(result.stdout)[-1]
    assert (pool, backend, verdict) == ("connectors", "c2", "unknown")
    assert "cannot be seen" in because


def test_connect_asks_the_sources_of_backends(file: Path, etcd_url: str) -> None:
    text = REGISTERED.format(etcd=etcd_url)
    file.write_text(text)
    (file.parent / "list.json").write_text("[]")
    result = CliRunner(env={"COLUMNS": "160"}).invoke(main, ["check", "--connect", "-c", str(file)])
    assert result.exit_code == 0, result.stderr
    found = rows(result.stdout)
    assert [etcd_url, "yes"] in found
    assert ["a", "etcd", "/lbproxy/check-connect/pools/a/connectors/", "0", ""] in found
    assert ["b", "file-list", f"{file.parent}/list.json", "0", ""] in found
    (file.parent / "list.json").write_text("[1]")
    failed = CliRunner().invoke(main, ["check", "-c", str(file)])
    assert failed.exit_code == 1
    assert "pool.b.discover.path" in failed.stderr
