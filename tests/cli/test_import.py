from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lbproxy.cli import main

NGINX = "server { listen 8080; server_name login.test; location / { proxy_pass http://10.0.0.1:4000; } }"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["import", *map(str, arguments)])


@pytest.fixture
def nginx(tmp_path: Path) -> Path:
    path = tmp_path / "nginx.conf"
    path.write_text(NGINX)
    return path


def test_the_draft_passes_check(nginx: Path, tmp_path: Path) -> None:
    result = run("nginx", nginx)
    assert result.exit_code == 0
    draft = tmp_path / "lbproxy.toml"
    draft.write_text(f'{result.stdout}[admin]\nbind = "unix:admin.sock"\n')
    assert CliRunner().invoke(main, ["check", "-c", str(draft)]).exit_code == 0


def test_it_is_written_to_a_file_that_is_not_there(nginx: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.toml"
    assert "0 directives are not carried" in run("nginx", nginx, "-o", output).stderr
    assert output.read_text() == run("nginx", nginx).stdout
    assert "exists; --force replaces it" in run("nginx", nginx, "-o", output).stderr
    assert run("nginx", nginx, "-o", output, "--force").exit_code == 0


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "no listener with backends was found"),
        (b"\xff", "is not UTF-8 at byte 0"),
        (b"a {", "ends in the middle of 'a'"),
        (b"#" * (5 << 20), "is larger than 4 MiB"),
    ],
)
def test_files_that_are_none(nginx: Path, content: bytes, problem: str) -> None:
    nginx.write_bytes(content)
    result = run("nginx", nginx)
    assert result.exit_code == 1
    assert problem in result.stderr


def test_a_file_that_cannot_be_read_or_written(nginx: Path, tmp_path: Path) -> None:
    assert f"{tmp_path}/none: {os.strerror(2)}" in run("haproxy", tmp_path / "none").stderr
    assert "none/out" in run("nginx", nginx, "-o", tmp_path / "none" / "out").stderr
