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
    found: dict[str, list[str]] = {
        "share/doc/lbproxy": ["CHANGELOG.md"],
        "share/lbproxy/examples": ["config/lbproxy.toml", *files("config/examples")],
        "share/lbproxy/systemd": files("config/systemd"),
        "share/lbproxy/prometheus": files("config/prometheus"),
        "share/lbproxy/grafana": files("config/grafana"),
    }
    for folder in (Path("docs"), *(path for path in sorted(Path("docs").rglob("*")) if path.is_dir())):
        found.setdefault(str("share/doc/lbproxy" / folder.relative_to("docs")), []).extend(files(str(folder)))
    return list(found.items())


def files(folder: str) -> list[str]:
    """The files of a folder, without those of folders in it."""
    return sorted(str(path) for path in Path(folder).iterdir() if path.is_file())


setup(ext_modules=cythonize(extensions(), compiler_directives=DIRECTIVES), data_files=shared_files())
