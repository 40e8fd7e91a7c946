"""The rules of the tree: which package imports which, where a test lives, lengths of files and functions, links.

The packages and their order are those of `lbproxy/__init__.py`.
"""

from __future__ import annotations

import ast
import re
import statistics
from pathlib import Path

import pytest

from tools.architecture import (
    ROOT,
    cython_imports,
    imports,
    package_of,
    packages_imported,
    python_imports,
    sources,
)

GROUND = {"errors", "ip_addresses", "program", "reasons", "record"}
LOGIC = {"balance", "auth", "wire"}
IO = {"control", "net"}
FILES = {"files"}  # how a file that the configuration names is read; logic reads none

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "ip_addresses": set(),
    "program": set(),
    "reasons": set(),
    "record": set(),
    "files": set(),
    "wire": GROUND,
    "auth": GROUND,
    "balance": GROUND,
    "config": FILES | GROUND,
    "demo": {"errors", "program"},  # the sample connector must not share the balancer's mistakes
    "draft": {"errors", "config", "demo"},  # the demo has an authority for trials
    "migrate": {"errors"},
    "net": LOGIC | FILES | GROUND,
    "control": LOGIC | FILES | GROUND,
    "runtime": IO | LOGIC | FILES | GROUND | {"config"},
    "status": {"runtime", "config"} | IO | LOGIC | FILES | GROUND,
    "preflight": {"runtime", "config", "dashboard"} | IO | LOGIC | FILES | GROUND,
    "instance": FILES | GROUND | {"config"},  # it runs on a connector's host, and shares nothing with the data path
    "dashboard": {"control", "auth", "net"} | FILES | GROUND,  # beside the balancer, which it asks as anybody
    "doctor": {"preflight", "instance", "runtime", "config"} | IO | LOGIC | FILES | GROUND,
    "process": {"status", "preflight", "dashboard", "runtime", "config"} | IO | LOGIC | FILES | GROUND,
    "cli": {"process", "status", "preflight", "doctor", "instance", "dashboard", "runtime", "config", "draft"}
    | {"migrate", "demo"}
    | IO
    | LOGIC
    | FILES
    | GROUND,
    "__main__": {"cli"},
    "__init__": set(),
}
"""A package (or a file beside the packages) -> what it may import, besides itself and the version."""

NEVER_IN_LOGIC = {"asyncio", "socket", "ssl", "select", "selectors", "threading", "time"}
"""No I/O and no clock in wire, auth and balance: bytes, limits and the time arrive as arguments."""

NO_MIRROR = {
    "__init__.py": "holds a docstring, or re-exports what its neighbours' tests cover",
    "__main__.py": "one call of cli.main",
    "lbproxy/control/fleet/views.py": "types only",
    "lbproxy/control/probes/kerberos/memory.py": "types only",
    "lbproxy/process/generation/serves_clients.py": "types only",
    "lbproxy/dashboard/sign_in.py": "tests/dashboard/test_web.py signs in over the network",
}
"""Files in lbproxy/, by name or path, that need no test of their own, and why."""

TESTS_OF_WHOLES = {
    "tests/bench": "the harness in bench/",
    "tests/deployment": "the units and manifests in config/",
    "tests/docs": "the configurations in README.md, docs/ and config/examples, the recipes, and docs/architecture.md",
    "tests/e2e": "whole processes, over the network",
    "tests/fuzz": "whatever reads bytes from others",
    "tests/process/test_release_before.py": "messages of the release before, recorded",
    "tests/test_tree.py": "this file",
}
"""Tests that mirror no single file, and why."""

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40
MAX_MEDIAN_FUNCTION_LINES = 5

MAX_COMPILED_LINES = 499

CYTHON_FUNCTION = re.compile(r"^( *)c?p?def (?!class )[^(\n]*?(\w+)\(.*?:\n(?=\1 )", re.MULTILINE | re.DOTALL)
CYTHON_LOOP = re.compile(r"^ +(?:for|while)\b", re.MULTILINE)

NOT_OVER_BYTES = {
    "access_line._reserve": "over the fields of a record",
    "access_line._set_tables": "once, at the import",
    "bodies._trailer": "over the lines of a trailer section, which is rare and written anew",
    "fields._fill_table": "once, at the import",
    "path_list.path_listed": "over the paths of the configuration",
    "request_heads._fill_table": "once, at the import",
    "response_heads.relocate": "over lines, for which Python is asked",
}
"""Loops of typed functions that may have Python in them, by file and function, and why."""

LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
"""The target of a link of Markdown that is a file of the repository."""


def with_python(text: str) -> set[str]:
    """The typed functions of a .pyx file that loop and may use Python's objects in it, by name."""
    found = set()
    for head in CYTHON_FUNCTION.finditer(text):
        body = re.compile(rf"(?:{head[1]} .*\n|\n)*").match(text, head.end())
        assert body
        if not head[0].lstrip().startswith("def ") and "nogil" not in head[0] and CYTHON_LOOP.search(body[0]):
            found.add(head[2])
    return found


LBPROXY = sources("lbproxy", ".py", ".pyi", ".pyx", ".pxd")
PYTHON = [path for path in LBPROXY if path.suffix == ".py"] + sources("bench", ".py") + sources("tools", ".py")


OVER_BYTES = [
    *sources("lbproxy/wire", ".pyx"),
    Path("lbproxy/auth/gss_token.pyx"),
    Path("lbproxy/control/access_log/access_line.pyx"),
]
"""The files whose functions look at bytes one by one."""


def test_every_package_is_in_the_table() -> None:
    assert {package_of(path) for path in LBPROXY} <= set(MAY_IMPORT)


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_imports_go_down(name: str) -> None:
    upwards = {str(path): packages_imported(path) - MAY_IMPORT[name] for path in LBPROXY if package_of(path) == name}
    assert not {path: names for path, names in upwards.items() if names}


def test_no_two_packages_need_each_other() -> None:
    below: set[str] = set()
    while rest := set(MAY_IMPORT) - below:
        layer = {name for name in rest if MAY_IMPORT[name] <= below}
        assert layer, f"a loop among {sorted(rest)}"
        below |= layer


def test_logic_does_no_input_output_and_reads_no_clock() -> None:
    wrong = {
        str(path): found
        for path in LBPROXY
        if package_of(path) in LOGIC and (found := {name.split(".")[0] for name in imports(path)} & NEVER_IN_LOGIC)
    }
    assert not wrong


def test_every_file_has_its_test() -> None:
    """In one file, or in several in a folder of its name."""
    code = [path for path in LBPROXY if path.suffix in {".py", ".pyx"} and not {path.name, str(path)} & set(NO_MIRROR)]
    mirrors = {path: Path("tests", *path.parts[1:-1], f"test_{path.stem}.py") for path in code}
    missing = [
        f"{path} has no {test}"
        for path, test in mirrors.items()
        if not (ROOT / test).exists() and not [*(ROOT / test.parent / path.stem).glob("test_*.py")]
    ]
    assert not missing, "\n".join(missing)


def test_every_test_has_its_file() -> None:
    orphans = []
    for path in sources("tests", ".py"):
        if not path.name.startswith("test_") or str(path).startswith(tuple(TESTS_OF_WHOLES)):
            continue
        folder = ROOT / Path("lbproxy", *path.parts[1:-1])
        code = [folder / path.stem.removeprefix("test_"), folder]
        if not any(each.with_suffix(suffix).exists() for each in code for suffix in (".py", ".pyx")):
            orphans.append(str(path))
    assert not orphans, "\n".join(orphans)


def test_links_between_documents_lead_somewhere() -> None:
    dead = [
        f"{page.name}: {link}"
        for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/**/*.md")]
        for link in LINK.findall(page.read_text())
        if not (page.parent / link).exists()
    ]
    assert not dead, "\n".join(dead)


def test_files_stay_short() -> None:
    lengths = {str(path): len((ROOT / path).read_text().splitlines()) for path in PYTHON}
    assert not {path: lines for path, lines in lengths.items() if lines > MAX_FILE_LINES}


def test_functions_stay_short() -> None:
    lengths = {
        f"{path}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in PYTHON
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert not {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES}
    assert statistics.median(lengths.values()) <= MAX_MEDIAN_FUNCTION_LINES


def test_compiled_files_stay_short() -> None:
    lengths = {str(path): len((ROOT / path).read_text().splitlines()) for path in LBPROXY if path.suffix == ".pyx"}
    assert not {path: lines for path, lines in lengths.items() if lines > MAX_COMPILED_LINES}


@pytest.mark.parametrize("path", OVER_BYTES, ids=str)
def test_loops_over_bytes_have_no_python_in_them(path: Path) -> None:
    """`nogil` makes the compiler refuse it."""
    text = (ROOT / path).read_text()
    assert with_python(text) == {name.split(".")[1] for name in NOT_OVER_BYTES if name.split(".")[0] == path.stem}


def test_finds_loops_of_cython() -> None:
    text = """
cdef inline int a(char *at) noexcept nogil:
    while at[0]:
        at += 1

cdef class C:
    cdef int b(self):
        if self.x:
            for i in range(2):
                pass

    cdef int c(self) except -1:
        return 0

    def d(self):
        for i in range(2):
            pass

cdef bytes e(
    char *at,
):
    while True:
        pass
"""
    assert with_python(text) == {"b", "e"}


def test_reads_the_imports_of_python() -> None:
    text = "import ssl\nif x:\n    from lbproxy.net import lane\nfrom . import pool\nfrom ..wire.heads import A"
    assert set(python_imports(text, "lbproxy.balance")) == {
        "ssl",
        "lbproxy.net.lane",
        "lbproxy.balance.pool",
        "lbproxy.wire.heads.A",
    }


def test_reads_the_imports_of_cython() -> None:
    text = (
        "cimport cython\nimport socket\nfrom libc.string cimport memchr, memcpy\nfrom lbproxy.net cimport (\n    a,\n)"
    )
    assert set(cython_imports(text)) == {
        "cython",
        "socket",
        "libc.string.memchr",
        "libc.string.memcpy",
        "lbproxy.net.a",
    }
