"""`lbproxy instance pack`."""

from __future__ import annotations

from pathlib import Path

from tests.instance.connector import Connector

from .conftest import Run


def test_says_what_is_in_it(run: Run, first: Connector, key: Path, tmp_path: Path) -> None:
    done = run("pack", "--dir", first.directory, "--recipient", f"{key}.pub", tmp_path / "c.pack")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[:2] == ["packed config.json", "packed lib/profileMapper.js"]
    assert str(tmp_path / "c.pack") in done.stdout.splitlines()[-1]


def test_one_that_would_not_serve_is_refused_with_every_reason(
    run: Run, first: Connector, key: Path, tmp_path: Path
) -> None:
    first.set(LDAP_BIND_PASSWORD="x", SESSION_SECRET="short")
    done = run("pack", "--dir", first.directory, "--recipient", f"{key}.pub", tmp_path / "c.pack")
    assert done.exit_code == 1
    assert "lbproxy: error: LDAP_BIND_PASSWORD: is not encrypted yet" in done.stderr
    assert "lbproxy: error: SESSION_SECRET: has 5 characters, and needs 32" in done.stderr
    assert not (tmp_path / "c.pack").exists()


def test_is_never_plain(run: Run, first: Connector, key: Path, tmp_path: Path) -> None:
    done = run("pack", "--dir", first.directory, tmp_path / "c.pack")
    assert (done.exit_code, "no terminal to ask at" in done.stderr) == (1, True)
    (tmp_path / "short").write_text("secret\n")
    done = run("pack", "--dir", first.directory, "--passphrase-file", tmp_path / "short", tmp_path / "c.pack")
    assert (done.exit_code, "is shorter than 12 characters" in done.stderr) == (1, True)
    done = run("pack", "--recipient", f"{key}.pub", "--passphrase-file", key, tmp_path / "c.pack")
    assert (done.exit_code, "exclude each other" in done.stderr) == (2, True)
    assert not (tmp_path / "c.pack").exists()


def test_other_kinds(run: Run, key: Path, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("connectorId: con-1\nimage: {tag: 1.8.0}\n")
    done = run("pack", "--kind", "apono", "--dir", tmp_path, "--recipient", f"{key}.pub", tmp_path / "a.pack")
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, "packed values")
    done = run(
        "pack", "--kind", "files", "--dir", tmp_path, "--path", "values.yaml", "--recipient", f"{key}.pub",
        tmp_path / "f.pack",
    )  # fmt: skip
    assert (done.exit_code, done.stdout.splitlines()[0]) == (0, "packed values.yaml")
