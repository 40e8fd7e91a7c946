"""What pyproject.toml cannot say: the typed Cython files of the data path are compiled."""

import multiprocessing
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory

from Cython.Build import cythonize
from setuptools import Extension, setup

DIRECTIVES = {
    "language_level": "3",
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
}

CPUS = len(os.sched_getaffinity(0))


def extensions() -> list[Extension]:
    """One extension for each .pyx, named as it is imported."""
    return [
        Extension(".".join(path.with_suffix("").parts), [str(path)], extra_compile_args=["-O3"])
        for path in sorted(Path("lbproxy").rglob("*.pyx"))
    ]


def shared_files() -> list[tuple[str, list[str]]]:
    """The manual, examples, units, and files for Prometheus and Grafana, by the folder of the environment for them."""
    sources = {
        "share/doc/lbproxy": ["CHANGELOG.md"],
        "share/lbproxy/examples": ["config/lbproxy.toml", "config/examples/*.toml"],
        "share/lbproxy/systemd": ["config/systemd/*"],
        "share/lbproxy/prometheus": ["config/prometheus/*"],
        "share/lbproxy/grafana": ["config/grafana/*"],
    }
    for folder in sorted({path.parent for path in Path("docs").rglob("*") if path.is_file()}):
        sources.setdefault(str("share/doc/lbproxy" / folder.relative_to("docs")), []).append(f"{folder}/*")
    return [
        (folder, sorted(str(path) for pattern in patterns for path in Path().glob(pattern) if path.is_file()))
        for folder, patterns in sources.items()
    ]


def check_compiler() -> None:
    """End with one line if nothing can be compiled here: what gcc and pip say of it is long, and late."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()
    headers = sysconfig.get_path("include")
    with TemporaryDirectory() as folder:
        source = Path(folder, "tried.c")
        source.write_text("#include <Python.h>\n#include <stdio.h>\n")
        command = [*compiler, f"-I{headers}", "-c", str(source), "-o", str(source.with_suffix(".o"))]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
            why = next((line for line in done.stderr.splitlines() if "error:" in line), done.stderr.strip())
            works = done.returncode == 0
        except OSError as error:
            works, why = False, f"{compiler[0]}: {error.strerror}"
    if not works:
        needed = "a C compiler and Python's headers are needed, on Debian: apt install gcc libc6-dev python3-dev"
        sys.exit(f"lbproxy: {needed} ({why})")


def modules() -> list[Extension]:
    """Compiled only where they are built: the metadata and the source distribution need no compiler."""
    if {"egg_info", "dist_info", "sdist"} & set(sys.argv):
        return extensions()
    check_compiler()
    forks = multiprocessing.get_start_method() == "fork"  # else each process would run this file again
    return list(cythonize(extensions(), nthreads=CPUS if forks else 0, quiet=True, compiler_directives=DIRECTIVES))


setup(ext_modules=modules(), data_files=shared_files(), options={"build_ext": {"parallel": CPUS}})
