from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lbproxy.cli import main
from tests.instance.connector import PASSWORD, SECRET, Connector

CONFIG = """
server_url = "http://localhost:{port}"
[listener.login]
bind = "127.0.0.1:{port}"
pool = "connectors"
[pool.connectors]
backends = [{{ name = "c1", url = "http://127.0.0.1:{port}" }}]
[admin]
bind = "unix:admin.sock"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lbproxy.toml"
    path.write_text(CONFIG.format(port=1))
    return path


def doctor(*options: object) -> Result:
    command = ["doctor", *map(str, options)]
    return CliRunner(env={"COLUMNS": "200"}).invoke(main, command, catch_exceptions=False)


def test_a_balancer_as_a_table(file: Path) -> None:
    result = doctor("-c", file)
    assert result.exit_code == 1
    assert "connectors/c1: tried from here:" in result.output
    assert "connection refused" in result.output
    assert "lbproxy is not running" in result.output
    assert "checks in " in result.output


def test_a_balancer_as_json(file: Path) -> None:
    result = doctor("-c", file, "--json")
    found = json.loads(result.output)
    assert (result.exit_code, found["status"]) == (1, "problem")
    by_name = {check["name"]: check for check in found["checks"]}
    assert by_name["backends"]["outcome"] == "problem"
    assert by_name["backends"]["findings"][0]["repair"]
    assert by_name["running"]["outcome"] == "not seen"
    assert "krb5.conf" not in by_name  # no pool has a Kerberos check
    assert found["took_seconds"] < 10


def test_a_configuration_that_cannot_be_read_is_the_problem(tmp_path: Path) -> None:
    (tmp_path / "lbproxy.toml").write_text("server_url = 1\n")
    result = doctor("-c", tmp_path / "lbproxy.toml", "--json")
    [check] = json.loads(result.output)["checks"]
    assert result.exit_code == 1
    assert "server_url, line 1" in [one["subject"] for one in check["findings"]]


def test_a_configuration_that_is_not_there_has_no_line(tmp_path: Path) -> None:
    result = doctor("-c", tmp_path / "lbproxy.toml", "--json")
    [check] = json.loads(result.output)["checks"]
    assert [one["subject"] for one in check["findings"]] == ["cannot be read"]


def test_a_connector(tmp_path: Path) -> None:
    connector = Connector.make(tmp_path / "connector", port=1, LDAP_URL="ldap://127.0.0.1:1")
    connector.set(PROVISIONING_TICKET="https://127.0.0.1:1/p/ad/secretticket")
    result = doctor("--instance", "auth0", "--dir", connector.directory, "--json",
                    "--server-url", "https://login.corp.example")  # fmt: skip
    by_name = {check["name"]: check["outcome"] for check in json.loads(result.output)["checks"]}
    assert result.exit_code == 1
    assert by_name["installation"] == by_name["SERVER_URL"] == "ok"
    assert by_name["PORT"] == by_name["tenant"] == by_name["service"] == "problem"
    for secret in (SECRET, PASSWORD, "secretticket"):
        assert secret not in result.output


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    result = doctor("--instance", "auth0", "--dir", tmp_path / "none", "--json")
    assert result.exit_code == 1
    by_name = {check["name"]: check for check in json.loads(result.output)["checks"]}
    assert "no directory" in by_name["installation"]["findings"][0]["found"]


def test_another_instance_beside_it(tmp_path: Path) -> None:
    connectors = [Connector.make(tmp_path / name) for name in ("one", "two")]
    result = doctor("--instance", "auth0", "--dir", connectors[0].directory, "--beside", connectors[1].directory,
                    "--json")  # fmt: skip
    [beside] = [one for one in json.loads(result.output)["checks"] if one["name"] == "beside"]
    assert "signing (certificate) differs" in beside["findings"][0]["found"]


def test_a_name_server_that_says_nothing_delays_nobody(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbproxy.control.discovery.dns_query.LIFETIME", 0.2)
    file.write_text(file.read_text().replace("http://localhost:", "http://login.corp.example:"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        result = doctor("-c", file, "--json", "--nameserver", f"127.0.0.1:{silent.getsockname()[1]}")
    found = json.loads(result.output)
    [name] = [one for one in found["checks"] if one["name"] == "name"]
    assert name["outcome"] == "not seen"


@pytest.mark.parametrize(
    "options",
    [
        ["--unit", "x"],
        ["--beside", "x"],
        ["--server-url", "http://x"],
        ["--instance", "auth0", "--keytab", "a", "--keytab", "b"],
        ["--instance", "nothing"],
        ["--nameserver", "a:b:c"],
    ],
)
def test_options_that_do_not_go_together(options: list[str]) -> None:
    assert doctor(*options).exit_code == 2
