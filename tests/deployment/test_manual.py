"""tools/manual.py: man pages lack nothing that the command line has, and shells can read the completions."""

from __future__ import annotations

import subprocess
from pathlib import Path

import click

from lbproxy.cli import COMMANDS, main
from tools.manual import COMPLETIONS, configuration, pages, write_completions


def test_every_command_has_a_page_with_every_option() -> None:
    found = dict(pages())
    assert found.keys() == {"lbproxy.1", "lbproxy.toml.5", *(f"lbproxy-{name}.1" for name in COMMANDS)}
    context = click.Context(main, info_name="lbproxy")
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        assert f"**lbproxy-{name}**(1)" in found["lbproxy.1"]
        for parameter in command.params:
            for option in parameter.opts if isinstance(parameter, click.Option) else ():
                assert option in found[f"lbproxy-{name}.1"]


def test_indented_paragraphs_of_a_docstring_are_text() -> None:
    assert "\n    " not in dict(pages())["lbproxy-drain.1"]


def test_the_configuration_has_sections_and_no_links() -> None:
    text = configuration(
        "# The file\n\n[one](other.md), [two](#three)\n\n## Part\n\n### Piece\n\n```toml\n## [a](b)\n```\n"
    )
    assert text.startswith("# NAME\n\nlbproxy.toml - ")
    assert "\none, two\n\n# PART\n\n## Piece\n\n```toml\n## [a](b)\n```\n" in text
    assert "The file" not in text


def test_bash_can_read_its_completion(tmp_path: Path) -> None:
    write_completions(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == {
        *COMPLETIONS.values()
    }
    subprocess.run(["bash", "-n", tmp_path / COMPLETIONS["bash"]], check=True)
