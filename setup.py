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


setup(ext_modules=cythonize(extensions(), compiler_directives=DIRECTIVES))
