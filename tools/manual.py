"""The man pages and the completions of shells, as files.

    python -m tools.manual FOLDER DATE     DATE is 2026-11-30; needs lowdown, which makes man pages from Markdown

lbproxy(1) and a page for each command say what `--help` says, lbproxy.toml(5) what docs/configuration.md says.
Completions are click's: they ask lbproxy itself.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from lbproxy import __version__
from lbproxy.cli import COMMANDS, main

_ROOT = Path(__file__).parents[1]
_DOCS = "/usr/share/doc/lbproxy"
_LINK = re.compile(r"\[([^][]*)\]\([^()]*\)")
_FENCE = "```"


_OVERVIEW = """\
# NAME

lbproxy - {about}

# SYNOPSIS

{usage}

# DESCRIPTION

{description}

**lbproxy run** serves what /etc/lbproxy/lbproxy.toml says; lbproxy.toml(5) has its keys, and **lbproxy help** *KEY*
prints one. As a service it is lbproxy.service: **systemctl start lbproxy**, **systemctl reload lbproxy**.

# OPTIONS

{options}

# COMMANDS

{commands}

# SIGNALS

To the master, the process that was started:

HUP
: reload the configuration, as **lbproxy reload** does

USR2
: become the program that is installed now, and then reload; connections stay

USR1
: open the access log again

TERM
: drain, then end; a second one ends at once

INT, QUIT
: end at once

# FILES

/etc/lbproxy/lbproxy.toml
: the configuration

/run/lbproxy/admin.sock
: where commands reach the running balancer

{docs}
: the manual

# EXIT STATUS

0, or 1 with every reason on standard error, or 2 where the command line itself is wrong.

# SEE ALSO

lbproxy.toml(5)
"""


def pages() -> Iterator[tuple[str, str]]:
    """The name of each page, such as `lbproxy.1`, and its Markdown."""
    top = click.Context(main, info_name="lbproxy")
    yield "lbproxy.1", _overview(top)
    for name, summary in COMMANDS.items():
        command = main.get_command(top, name)
        assert command is not None
        yield f"lbproxy-{name}.1", _command_page(click.Context(command, info_name=name, parent=top), summary)
    yield "lbproxy.toml.5", configuration((_ROOT / "docs" / "configuration.md").read_text())


COMPLETIONS = {
    "bash": "bash-completion/completions/lbproxy",
    "zsh": "zsh/vendor-completions/_lbproxy",
    "fish": "fish/vendor_completions.d/lbproxy.fish",
}
"""A shell -> the file below /usr/share in which it looks."""


def write_completions(share: Path) -> None:
    """All of them below `share`."""
    for shell, name in COMPLETIONS.items():
        kind = get_completion_class(shell)
        assert kind is not None
        file = share / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(kind(main, {}, "lbproxy", "_LBPROXY_COMPLETE").source())


def write_pages(share: Path, date: str) -> None:
    """All pages below `share`, with `date` at their ends. Raises CalledProcessError."""
    for name, text in pages():
        title, _, section = name.rpartition(".")
        about = {"title": title, "section": section, "date": date, "source": f"lbproxy {__version__}", "volume": ""}
        metadata = [word for key, value in about.items() for word in ("-M", f"{key}={value}")]
        file = share / "man" / f"man{section}" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        convert = ["lowdown", "-s", "-tman", "--out-no-smarty", "--parse-no-intraemph", *metadata, "-o", str(file)]
        subprocess.run(convert, input=text, text=True, check=True)


def _overview(context: click.Context) -> str:
    return _OVERVIEW.format(
        about=_plain(_about(context.command)),
        usage=_usage(context),
        description=_prose(context.command.help),
        options=_options(context),
        commands="\n\n".join(f"**lbproxy-{name}**(1)\n: {_plain(text)}" for name, text in COMMANDS.items()),
        docs=_DOCS,
    )


def _command_page(context: click.Context, summary: str) -> str:
    parts = [
        "# NAME",
        f"lbproxy-{context.info_name} - {_plain(summary)}",
        "# SYNOPSIS",
        _usage(context),
        "# DESCRIPTION",
        _prose(context.command.help),
        "# OPTIONS",
        _options(context),
    ]
    if isinstance(context.command, click.Group):
        parts += ["# COMMANDS", *_inner(context, context.command)]
    return "\n\n".join([*parts, "# SEE ALSO", "lbproxy(1), lbproxy.toml(5)\n"])


def _inner(context: click.Context, group: click.Group) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context)
        yield from (f"## {_plain(inner.command_path)}", _usage(inner), _prose(command.help), _options(inner))


def _usage(context: click.Context) -> str:
    return f"**{context.command_path}** {_plain(' '.join(context.command.collect_usage_pieces(context)))}"


def _options(context: click.Context) -> str:
    records = [parameter.get_help_record(context) for parameter in context.command.get_params(context)]
    return "\n\n".join(f"{_plain(names)}\n: {_plain(text)}" for names, text in filter(None, records) if text)


def _about(command: click.Command) -> str:
    return (command.help or "").partition("\n")[0].rstrip(".")


def _prose(text: str | None) -> str:
    """Paragraphs as click keeps them: one after a line with a backspace keeps its lines."""
    kept = []
    for paragraph in cleandoc(text or "").split("\n\n"):
        mark, _, lines = paragraph.partition("\n")
        kept.append(f"{_FENCE}\n{lines}\n{_FENCE}" if mark.strip() == "\b" else _plain(paragraph))
    return "\n\n".join(kept)


def _plain(text: str) -> str:
    """`text`, with nothing in it that Markdown would understand, but for `code`, which means the same here."""
    return re.sub(r"([\\*_{}\[\]<>#|~])", r"\\\1", text)


def configuration(text: str) -> str:
    """docs/configuration.md as a man page: sections of its own level, and no links, which a terminal cannot follow."""
    lines = ["# NAME", "", "lbproxy.toml - the configuration file of lbproxy", "", "# DESCRIPTION", ""]
    fenced = False
    for line in text.splitlines()[1:]:
        fenced ^= line.startswith(_FENCE)
        if fenced:
            lines.append(line)
        elif line.startswith("## "):
            lines.append(line[1:].upper())
        else:
            lines.append(_LINK.sub(r"\1", line.removeprefix("#") if line.startswith("###") else line))
    return "\n".join([*lines, "", "# SEE ALSO", "", f"lbproxy(1), lbproxy-check(1), {_DOCS}/configuration.md", ""])


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]), sys.argv[2])
    write_completions(Path(sys.argv[1]))
