"""Files of variables, as systemd and shells read them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.errors import InstanceError
from lbproxy.instance.environment import parse, render

VALUES = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029\x85"), max_size=20)


def test_reads_what_systemd_reads() -> None:
    text = (
        b'# a comment\n; another\n\nPORT=4001\nexport A = b c \nQ="a \\"b\\" $c"\nS=\'a "b" \\c\'\nL=one\\\ntwo\nE=\n'
    )
    assert parse(text, "f") == {
        "PORT": "4001",
        "A": "b c",
        "Q": 'a "b" $c',
        "S": 'a "b" \\c',
        "L": "onetwo",
        "E": "",
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"A=1\nPORT\n", "f, line 2: is not NAME=VALUE"),
        (b"1A=2", "f, line 1: is not NAME=VALUE"),
        (b'A="b', 'f, line 1: the value begins with " and does not end with it'),
        (b"A='", "f, line 1: the value begins with '"),
        (b"A=\xff", "f: is not UTF-8"),
    ],
)
def test_names_the_line_that_is_wrong(text: bytes, problem: str) -> None:
    with pytest.raises(InstanceError, match=problem):
        parse(text, "f")


@given(st.dictionaries(st.from_regex("[A-Z_]{1,8}", fullmatch=True), VALUES, max_size=5))
def test_reads_what_it_writes(variables: dict[str, str]) -> None:
    assert parse(render(variables), "f") == variables


def test_a_shell_reads_the_same(tmp_path: Path) -> None:
    value = 'it\'s "quoted" $HOME `id` \\ back'
    path = tmp_path / "env"
    path.write_bytes(render({"VALUE": value}))
    told = subprocess.run(["sh", "-c", f'. {path}; printf %s "$VALUE"'], capture_output=True, text=True, check=True)
    assert told.stdout == value


def test_a_line_break_cannot_be_written() -> None:
    with pytest.raises(InstanceError, match="A: a value with a line break"):
        render({"A": "b\nPATH=c"})
