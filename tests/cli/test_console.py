from __future__ import annotations

import pytest

from lbproxy.cli.console import output, plain, progress, say


def test_what_could_steer_the_terminal_is_escaped() -> None:
    assert plain("\x1b[2J\x9b\n\u202e").plain == "\\x1b[2J\\x9b\\n\\u202e"


def test_there_is_no_markup() -> None:
    text = plain("[red]Zürich[/nothing]")
    assert (text.plain, text.spans) == ("[red]Zürich[/nothing]", [])


def test_each_goes_its_way_and_is_wide_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    output().print("x" * 150)
    progress().print("y" * 150)
    assert capsys.readouterr() == ("x" * 150 + "\n", "y" * 150 + "\n")


def test_one_line_is_said_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    say("[red]" + "x" * 200 + "\x1b[2J")
    assert capsys.readouterr() == ("[red]" + "x" * 200 + "\\x1b[2J\n", "")
