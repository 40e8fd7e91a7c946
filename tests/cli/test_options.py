from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lbproxy.cli.options import admin_bind, admin_option, seconds
from lbproxy.config import Address
from tests.cli.served import CONFIG


@click.command()
@admin_option
@click.option("--timeout", callback=seconds)
def show(admin: Address | None, timeout: float | None) -> None:
    """Prints what it was given."""
    click.echo(f"{admin} {timeout}")


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ([], "None None\n"),
        (["--timeout", "500ms"], "None 0.5\n"),
        (["--timeout", "2m"], "None 120.0\n"),
        (["--admin", "127.0.0.1:9000"], "127.0.0.1:9000 None\n"),
        (["--admin", "unix:/run/a.sock"], "unix:/run/a.sock None\n"),
    ],
)
def test_values(arguments: list[str], shown: str) -> None:
    assert CliRunner().invoke(show, arguments).output == shown


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--timeout", "5"], "'5' is not a duration such as"),
        (["--admin", "nonsense"], "'nonsense' is not host:port"),
    ],
)
def test_what_is_no_value(arguments: list[str], text: str) -> None:
    result = CliRunner().invoke(show, arguments)
    assert result.exit_code == 2
    assert text in result.stderr


def test_a_relative_socket_is_below_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(show, ["--admin", "unix:a.sock"]).output == f"unix:{tmp_path}/a.sock None\n"


def test_the_address_of_the_option_needs_no_file() -> None:
    assert admin_bind(Path("/nonexistent"), Address("::1", 9000)) == ("::1", 9000)


def test_else_the_file_says_where(tmp_path: Path) -> None:
    (tmp_path / "lbproxy.toml").write_text(CONFIG)
    assert admin_bind(tmp_path / "lbproxy.toml", None) == tmp_path / "admin.sock"


def test_a_mistake_elsewhere_in_the_file_does_not_matter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lbproxy.toml").write_text(f"{CONFIG}\nno_such_key = 1\n[pool.other\n")
    assert admin_bind(tmp_path / "lbproxy.toml", None) == tmp_path / "admin.sock"
    assert capsys.readouterr().err == ""


def test_a_file_that_cannot_say_where_means_the_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert admin_bind(tmp_path / "none.toml", None) == Path("/run/lbproxy/admin.sock")
    assert capsys.readouterr().err.splitlines() == [
        f"lbproxy: warning: {tmp_path}/none.toml: cannot be read: No such file or directory",
        "lbproxy: warning: asking at the default address instead, unix:/run/lbproxy/admin.sock",
    ]
