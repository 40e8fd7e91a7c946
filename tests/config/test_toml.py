from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.config.toml import parse, read_text
from lbproxy.errors import ConfigError

HERE = Path("lbproxy.toml")


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a = 1\nb = \n", 2, "not TOML: Invalid value"),
        ("a = 1\n[x\n", 2, "not TOML: Expected ']' at the end of a table declaration"),
        ('a = "x', 1, "not TOML: Unterminated string"),
        ("a = 1\nb = 2\na = 3\n", 3, "not TOML: a key or table that the file has already (Cannot overwrite a value)"),
        ("a = 1\na = 3", 2, "not TOML: a key or table that the file has already (Cannot overwrite a value)"),
        ("[x]\n\n[x]\n", 3, "not TOML: a key or table that the file has already (Cannot declare ('x',) twice)"),
    ],
)
def test_broken_toml_has_a_line_number(text: str, line: int, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(HERE, text)
    [found] = caught.value.problems
    assert (found.line, str(found)) == (line, problem)
    assert str(caught.value) == f"lbproxy.toml:{line}: {problem}"


def test_toml_without_a_bottom() -> None:
    with pytest.raises(ConfigError, match=r"^lbproxy\.toml: not TOML: "):
        parse(HERE, "a = " + "[" * 5000)


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "windows.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    assert parse(path, read_text(path)) == {"a": 1}


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b'a = "\xe9"')
    with pytest.raises(ConfigError, match="cannot be read: byte 5 is not UTF-8"):
        read_text(path)
