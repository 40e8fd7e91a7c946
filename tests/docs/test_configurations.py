"""Whole configurations in README.md, docs/ and config/examples: `lbproxy check` finds each fit to run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from lbproxy.cli import main
from lbproxy.config import load
from lbproxy.errors import ConfigError
from tests.pki import Authority, write_crls

ROOT = Path(__file__).parents[2]
HOST = "login.corp.example"
ENVIRONMENT = {"SERVER_URL": f"https://{HOST}", "CONNECTOR_1": "http://c1:4000", "CONNECTOR_2": "http://c2:4000"}


def whole_files() -> dict[str, str]:
    """By where it is: every example, and every block of TOML in Markdown that has a server_url and a pool."""
    found = {path.name: path.read_text() for path in sorted((ROOT / "config" / "examples").glob("*.toml"))}
    return found | {name: block for name, block in blocks().items() if _is_whole(block)}


def blocks() -> dict[str, str]:
    """Every block of TOML in Markdown, by its page and number."""
    found = {}
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for number, block in enumerate(re.findall(r"```toml\n(.*?)```", path.read_text(), re.DOTALL), 1):
            found[f"{path.relative_to(ROOT)} {number}"] = block
    return found


def _is_whole(block: str) -> bool:
    return "server_url" in block and "[pool." in block


WHOLE = whole_files()
PARTS = {name: block for name, block in blocks().items() if not _is_whole(block)}

OF_A_PART = re.compile(
    r"missing|there is no \[pool|.*belongs to \[pool\.NAME\]|has no meaning without|is known with|.*not set$"
)
"""What is said of tables that stand on a page without the others."""


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


@pytest.mark.parametrize("name", PARTS)
def test_a_part_has_only_what_is_known(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path / "lbproxy.toml", {}, PARTS[name])
    assert [str(problem) for problem in raised.value.problems if not OF_A_PART.match(problem.text)] == []
