from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import lbproxy
from lbproxy.cli import COMMANDS, main
from lbproxy.cli.group import LazyGroup
from lbproxy.errors import ConfigError, Problem

MODULE = '''
import click

@click.command("{name}")
def command():
    """The long help."""
    {body}
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable package without any commands yet."""
    folder = tmp_path / "lazy_commands"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.startswith("lazy_commands")]:
        monkeypatch.delitem(sys.modules, name)
    return folder


@pytest.fixture
def group() -> LazyGroup:
    return LazyGroup("tool", package="lazy_commands", summaries={"good": "Do well.", "bad": "Do badly."})


def write(package: Path, name: str, body: str) -> None:
    (package / f"{name}.py").write_text(MODULE.format(name=name, body=body))


def test_the_help_has_one_line_a_command_and_imports_none() -> None:
    result = CliRunner().invoke(main, ["--help"], prog_name="lbproxy")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.output.partition("Commands:\n")[2].splitlines()] == list(COMMANDS)


def test_only_the_command_that_is_used_is_imported(package: Path, group: LazyGroup) -> None:
    write(package, "good", "click.echo('done')")
    write(package, "bad", "")
    result = CliRunner().invoke(group, ["good"])
    assert (result.exit_code, result.output) == (0, "done\n")
    assert "lazy_commands.good" in sys.modules
    assert "lazy_commands.bad" not in sys.modules


def test_an_lbproxy_error_is_told_without_a_traceback(package: Path, group: LazyGroup) -> None:
    write(package, "bad", "from lbproxy.errors import StartError; raise StartError('the port is taken')")
    result = CliRunner().invoke(group, ["bad"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "lbproxy: error: the port is taken\n"


def test_every_line_of_an_error_says_whose_it_is() -> None:
    @click.group(cls=LazyGroup, package="none", summaries={}, invoke_without_command=True)
    def failing() -> None:
        raise ConfigError("a.toml", [Problem("bind", "missing"), Problem("pool", "missing")])

    assert CliRunner().invoke(failing, []).stderr == (
        "lbproxy: error: a.toml: bind: missing\nlbproxy: error: a.toml: pool: missing\n"
    )


def test_a_fault_in_lbproxy_is_not_hidden(package: Path, group: LazyGroup) -> None:
    write(package, "bad", "raise KeyError('x')")
    assert isinstance(CliRunner().invoke(group, ["bad"]).exception, KeyError)


def test_an_unknown_command_is_a_usage_error() -> None:
    result = CliRunner().invoke(main, ["serve"])
    assert result.exit_code == 2
    assert "No such command 'serve'" in result.stderr


def test_the_version() -> None:
    assert CliRunner().invoke(main, ["--version"]).output == f"lbproxy, version {lbproxy.__version__}\n"


def modules_imported(*arguments: str) -> set[str]:
    """The packages that the command imports, of those that take long."""
    code = (
        "import sys, lbproxy.cli\ntry:\n lbproxy.cli.main(sys.argv[1:])\nexcept SystemExit:\n pass\n"
        "print('imported', *{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(done.stdout.split()) & {"asyncio", "pydantic", "cryptography", "rich", "aiohttp", "uvloop"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["drain", "--help"], ["rollout", "--help"]])
def test_the_command_line_is_quick_to_help(arguments: list[str]) -> None:
    """The help needs little of what the commands need."""
    assert modules_imported(*arguments) <= {"asyncio", "rich"}


def test_a_command_that_asks_the_running_balancer_needs_no_model_of_its_file(tmp_path: Path) -> None:
    """It is run by scripts and by health checks: every 0.1 s counts."""
    file = tmp_path / "lbproxy.toml"
    file.write_text(f'[admin]\nbind = "unix:{tmp_path}/none.sock"\n')
    for order in (["drain", "c1"], ["ready", "c1"], ["reload"], ["backend", "remove", "connectors/c1"]):
        assert modules_imported(*order, "--config", str(file)) == set()
    assert modules_imported("status", "--config", str(file)) == {"rich"}


def test_python_m_lbproxy() -> None:
    done = subprocess.run([sys.executable, "-m", "lbproxy", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"lbproxy, version {lbproxy.__version__}\n"
