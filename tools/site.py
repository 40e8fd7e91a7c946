"""The manual as a site: docs/ as it is, with an index of every command and key that is made from the code.

    python -m tools.site FOLDER

Needs the extra `docs`. The pages load nothing from elsewhere, and can be read from a disk. A link that leads nowhere,
or a page that no other one names, is an error.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import click

from lbproxy import __version__
from lbproxy.cli import COMMANDS, main
from lbproxy.config.reference import Entry, entries

ROOT = Path(__file__).parents[1]
_LINK = re.compile(r"(!?)\[([^][]*)\]\(([^()\s]+)\)")

_SETTINGS = f"""\
project = "lbproxy"
author = "the authors of lbproxy"
release = version = "{__version__}"
extensions = ["myst_parser"]
source_suffix = {{".md": "markdown"}}
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]
html_theme = "furo"
html_title = "lbproxy {__version__}"
html_show_sourcelink = html_copy_source = False
html_static_path = []
"""


def write_source(folder: Path) -> None:
    """All that Sphinx makes the site of."""
    for page in (ROOT / "docs").rglob("*"):
        if page.is_file():
            copy = folder / page.relative_to(ROOT / "docs")
            copy.parent.mkdir(parents=True, exist_ok=True)
            if page.suffix == ".md":
                copy.write_text(_inside(page.read_text(), page))
            else:
                shutil.copyfile(page, copy)
    (folder / "commands.md").write_text(commands())
    (folder / "keys.md").write_text(keys())
    start = folder / "index.md"
    (folder / "README.md").rename(start)
    start.write_text(start.read_text() + _contents(folder))
    (folder / "conf.py").write_text(_SETTINGS)


def _inside(text: str, page: Path) -> str:
    """`text` with its links to files that are not part of the manual as their names."""

    def link(match: re.Match[str]) -> str:
        path = match[3].partition("#")[0]
        leaves = "://" not in path and not (page.parent / path).resolve().is_relative_to(ROOT / "docs")
        if path.endswith("README.md") and not leaves:
            return f"[{match[2]}]({match[3].replace('README.md', 'index.md')})"
        return match[2] if leaves and not match[1] else match[0]

    return _LINK.sub(link, text).replace("```mermaid", "```text")


def _contents(folder: Path) -> str:
    """The tree of contents, in the order in which the first page names the pages; the others after them."""
    first = folder / "index.md"
    named = [path for _, _, path in _LINK.findall(first.read_text()) if path.endswith(".md")]
    named += ["commands.md", "keys.md", *sorted(str(path.relative_to(folder)) for path in folder.rglob("*.md"))]
    listed = [path.removesuffix(".md") for path in dict.fromkeys(named) if path != "index.md"]
    return "\n".join(("\n```{toctree}", ":hidden:", "", *listed, "```", ""))


def commands() -> str:
    """Every command, as its own help says."""
    top = click.Context(main, info_name="lbproxy")
    lines = ["# Commands", "", "What `--help` says of each.", "", *_help(top)]
    for name in COMMANDS:
        command = main.get_command(top, name)
        assert command is not None
        lines += _section(click.Context(command, info_name=name, parent=top), 2)
    return "\n".join(lines)


def _section(context: click.Context, level: int) -> Iterator[str]:
    yield from (f"{'#' * level} {context.command_path}", "", *_help(context))
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            assert command is not None
            yield from _section(click.Context(command, info_name=name, parent=context), level + 1)


def _help(context: click.Context) -> tuple[str, ...]:
    context.terminal_width = 100
    return "```text", context.command.get_help(context), "```", ""


def keys() -> str:
    """Every key, with its default or an example, and its text."""
    lines = ["# Keys", "", "What `lbproxy help KEY` says of each. NAME stands for a name of your own."]
    lines += ["[The configuration file](configuration.md) says more.", ""]
    for entry in entries():
        lines += _table(entry) if entry.kind == "table" else _key(entry)
    return "\n".join(lines)


def _table(entry: Entry) -> Iterator[str]:
    yield from ("", f"## [{entry.name}]", "", *([entry.text, ""] if entry.text else []))


def _key(entry: Entry) -> Iterator[str]:
    kind = "default" if entry.kind == "default" else "for example"
    yield from (f"`{entry.name}`", f": {kind}: `{entry.value}`", "")
    if entry.text:
        yield from (indent(entry.text, "  "), "")


def build(folder: Path) -> None:
    """Make the site anew in `folder`. Raises CalledProcessError when something in it is wrong."""
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as source:
        write_source(Path(source))
        command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-d", f"{source}/.trees"]
        subprocess.run([*command, source, str(folder)], check=True)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
