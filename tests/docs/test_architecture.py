"""docs/architecture.md says what is in the code now: its picture, its tables, and where is what."""

from __future__ import annotations

import ast
import re

import pytest

from tools.architecture import PAGE, PICTURE, ROOT, levels, page, picture, reduced

ROW = re.compile(r"^\| [^|]+ \| \[[\w/.]+\]\(\.\./(lbproxy/[\w/.]+)\)[^|]* \| (`[^|]+`) \|$", re.MULTILINE)
NAMES = [(path, name) for path, names in ROW.findall(PAGE.read_text()) for name in re.findall(r"`([\w.]+)`", names)]

CYTHON_NAME = re.compile(
    r"^( *)(?:cdef class|class|cpdef|cdef|def) (?:[\w*<> ]*?[\w*>] )?\*?(\w+)(?=[(:])", re.MULTILINE
)


def defined(path: str) -> set[str]:
    """The names of a file: functions, classes, their methods as Class.method, and what is assigned at its top."""
    text = (ROOT / path).read_text()
    if path.endswith(".pyx"):
        return cython_names(text)
    found = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.ClassDef):
            methods = [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
            found |= {f"{node.name}.{method.name}" for method in methods}
    return found


def cython_names(text: str) -> set[str]:
    found, within = set(), ""
    for indent, name in CYTHON_NAME.findall(text):
        if not indent:
            within = name
        found.add(f"{within}.{name}" if indent else name)
    return found


def test_the_picture_is_what_the_script_makes_now() -> None:
    assert PICTURE.read_text() == picture(), "run .venv/bin/python tools/architecture.py"


def test_the_tables_are_what_the_script_makes_now() -> None:
    text = PAGE.read_text()
    assert text == page(text), "run .venv/bin/python tools/architecture.py"


def test_the_questions_are_found() -> None:
    asked = PAGE.read_text().partition("## Where is what")[2].partition("## The packages")[0]
    assert len(ROW.findall(asked)) == asked.count("\n| ") - 2  # the table's head has two lines


@pytest.mark.parametrize(("path", "name"), NAMES, ids=[name for _, name in NAMES])
def test_what_it_names_is_there(path: str, name: str) -> None:
    assert name in defined(path)


def test_finds_names_of_cython() -> None:
    methods = "    cdef int f(self) except -1:\n    cpdef rest(self):\n"
    text = f"cdef class A(B):\n{methods}cdef inline char *g(int x):\ndef h():\n"
    assert cython_names(text) == {"A", "A.f", "A.rest", "g", "h"}


def test_only_imports_that_no_other_way_leads_to_are_drawn() -> None:
    assert reduced({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": {"b"}, "b": {"c"}, "c": set()}


def test_each_is_below_all_that_import_it() -> None:
    assert levels({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": 0, "b": 1, "c": 2}
    with pytest.raises(ValueError, match="import each other: a, b"):
        levels({"a": {"b"}, "b": {"a"}})
