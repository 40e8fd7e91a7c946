"""What the options of `lbproxy instance` say."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from lbproxy.cli.instance.options import opener, passphrase, where
from lbproxy.errors import InstanceError


def test_a_passphrase_in_a_file_ends_before_its_line_does(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(b" correct horse \r\n")
    assert passphrase(tmp_path / "p").text == " correct horse "
    with pytest.raises(InstanceError, match="missing"):
        passphrase(tmp_path / "missing")


def test_without_a_terminal_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "empty").open("w+") as empty:
        monkeypatch.setattr("sys.stdin", empty)
        with pytest.raises(InstanceError, match="no terminal to ask at; name a file by --passphrase-file"):
            passphrase(None)


def test_one_way_to_open(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="exclude each other"):
        opener(tmp_path, tmp_path)


def test_where_it_is() -> None:
    found = where(Path("d"), paths=("a",), connector_version="1")
    assert (found.directory, found.paths, found.version, found.environment) == (Path("d"), ("a",), "1", None)
