from __future__ import annotations

import pytest

from lbproxy.errors import MigrationError
from lbproxy.migrate.nginx_syntax import parse


def test_words_blocks_comments_and_quotes() -> None:
    text = "a 1 \"two words\" 'x;y'; # no\nb {\n c ${v}$w a\\ b;\n}\n"
    first, second = parse(text, "n")
    assert (first.name, first.arguments, first.line) == ("a", ["1", "two words", "x;y"], 1)
    assert (second.name, second.arguments, second.line) == ("b", [], 2)
    [inner] = second.all("c")
    assert (inner.arguments, inner.line) == (["${v}$w", "a\\ b"], 3)
    assert str(inner) == "c ${v}$w a\\ b"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a", "n: ends in the middle of 'a'"),
        ("a {", "n: ends in the middle of 'a'"),
        ("a;\n}", "n:2: unexpected }"),
        (";", "n:1: unexpected ;"),
        ('\na "b', "n:2: not understood: '\"b'"),
        ("a {" * 30, "n:1: unexpected {"),
        ("a { b }", "n:1: unexpected }"),
    ],
)
def test_what_is_no_such_file(text: str, problem: str) -> None:
    with pytest.raises(MigrationError) as caught:
        parse(text, "n")
    assert str(caught.value) == problem
