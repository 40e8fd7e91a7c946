"""Files of variables, as systemd and shells read them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.errors import InstanceError
from lbproxy.instance.environment import parse, render

CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")
VALUES = st.text(CHARACTERS | st.sampled_from("\\\"'$` \n\r"), max_size=20)


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
    ("written", "value"),
    [
        (r'"CORP\svc"', r"CORP\svc"),  # "...": the backslash is dropped before these four only
        (r'"\"\\\$\`"', '"\\$`'),
        (r'"\\n\n\'\ "', r"\n\n\'\ "),
        (r"CORP\svc", "CORPsvc"),  # without quotes: always
        (r"CORP\\svc", r"CORP\svc"),
        (r"\"a\' b\$\`", "\"a' b$`"),
        (r"'CORP\svc\\'", r"CORP\svc\\"),  # '...': never
        ("'a\\\nb'", "a\\\nb"),
        ("a\\\n b", "a b"),  # a backslash and a line break are nothing
        ('"a\\\nb"', "ab"),
        ('"a\nb # c"', "a\nb # c"),  # quotes may go on in the next line
        ("a \"b\" 'c' # d", "a \"b\" 'c' # d"),  # quotes and # in the middle of a value are of it
        ("""'a' "b"\t'c'  d """, "abcd"),
        (" \t a  b\t ", "a  b"),  # white space around is dropped
        ("a\\ \\  ", "a  "),
        ("\u00a0a\u2028b\x0c", "\u00a0a\u2028b\x0c"),  # and this is none
        ("a\r", "a"),
    ],
)
def test_values_by_the_rules_of_systemd(written: str, value: str) -> None:
    assert parse(f"A={written}\nB=2\n".encode(), "f") == {"A": value, "B": "2"}
    assert parse(render({"A": value}), "f") == {"A": value}


def test_a_backslash_is_the_last_character() -> None:
    assert parse(b"A=b\\", "f") == {"A": "b"}


def test_a_comment_ends_with_its_line() -> None:
    assert parse(b'# a \\\nA=1\r\n  ; b "\nB=2', "f") == {"A": "1", "B": "2"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"A=1\nPORT\n", "f, line 2: is not NAME=VALUE"),
        (b"1A=2", "f, line 1: is not NAME=VALUE"),
        (b'A="b', 'f, line 1: the value begins with " and does not end with it'),
        (b"A='", "f, line 1: the value begins with '"),
        (b"A='b\\'\n\nB=\"c\\\"\n", 'f, line 3: the value begins with "'),
        (b"A=\xff", "f: is not UTF-8"),
        (b"A=\0", "f: has a NUL character"),
    ],
)
def test_names_the_line_that_is_wrong(text: bytes, problem: str) -> None:
    with pytest.raises(InstanceError, match=problem):
        parse(text, "f")


@given(st.dictionaries(st.from_regex("[A-Z_]{1,8}", fullmatch=True), VALUES, max_size=5))
def test_reads_what_it_writes(variables: dict[str, str]) -> None:
    assert parse(render(variables), "f") == variables


@pytest.mark.parametrize("value", ['it\'s "quoted" $HOME `id` \\ back', "-----BEGIN-----\nab\\\n\\n\n"])
def test_a_shell_reads_the_same(tmp_path: Path, value: str) -> None:
    path = tmp_path / "env"
    path.write_bytes(render({"VALUE": value}))
    told = subprocess.run(["sh", "-c", f'. {path}; printf %s "$VALUE"'], capture_output=True, text=True, check=True)
    assert told.stdout == value
