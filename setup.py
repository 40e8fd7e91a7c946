"""What pyproject.toml cannot say: the typed Cython files of the data path are compiled."""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

DIRECTIVES = {
    "language_level": "3",
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
}


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


setup(ext_modules=cythonize(extensions(), compiler_directives=DIRECTIVES), data_files=shared_files())
