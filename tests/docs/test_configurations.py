"""Whole configurations in README.md, docs/ and config/examples: `lbproxy check` finds each fit to run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from lbproxy.cli import main
from tests.pki import Authority, write_crls

ROOT = Path(__file__).parents[2]
HOST = "login.corp.example"
ENVIRONMENT = {"SERVER_URL": f"https://{HOST}", "CONNECTOR_1": "http://c1:4000", "CONNECTOR_2": "http://c2:4000"}


def whole_files() -> dict[str, str]:
    """By where it is: every example, and every block of TOML in Markdown that has a server_url and a pool."""
    found = {path.name: path.read_text() for path in sorted((ROOT / "config" / "examples").glob("*.toml"))}
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        blocks = re.findall(r"```toml\n(.*?)```", path.read_text(), re.DOTALL)
        whole = [block for block in blocks if "server_url" in block and "[pool." in block]
        found |= {f"{path.relative_to(ROOT)} {number}": block for number, block in enumerate(whole, 1)}
    return found


WHOLE = whole_files()


def write_files(directory: Path) -> None:
    """What the configurations name, below the directory instead of /etc/lbproxy."""
    certs = directory / "certs"
    certs.mkdir()
    root, users = Authority.root("users root"), Authority.root("users")
    Authority.root("connectors").write_certificate(certs / "connectors-ca.pem")
    for name in ("login", "apono", "lb1"):
        Authority.root().server(HOST, "apono.corp.example").write(certs, name)
    users.write_certificate(certs / "users-ca.pem")
    write_crls(certs / "users-root.crl", root.crl())
    write_crls(certs / "users.crl", users.crl())
    mint = Authority.root("mint", path_length=0)
    mint.write_certificate(certs / "mint-ca.pem")
    (certs / "mint-ca.key").write_bytes(mint.key_pem)


def test_there_are_some() -> None:
    assert {"README.md 1", "docs/configuration.md 1", "minimal.toml"} <= WHOLE.keys()


@pytest.mark.parametrize("name", WHOLE)
def test_it_is_fit_to_run(tmp_path: Path, name: str) -> None:
    write_files(tmp_path)
    text = WHOLE[name].replace("/etc/lbproxy/", "").replace("/var/log/lbproxy/", "").replace("/run/lbproxy/", "")
    path = tmp_path / "lbproxy.toml"
    path.write_text(text if "[admin]" in text else f'{text}\n[admin]\nbind = "unix:admin.sock"\n')
    runner = CliRunner(env=ENVIRONMENT | {"RUNTIME_DIRECTORY": "."})
    result = runner.invoke(main, ["check", "-c", str(path)], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    assert "is fit to run" in result.stdout
