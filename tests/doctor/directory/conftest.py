"""One directory for all tests of this folder that change nothing in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.doctor.directory.slapd import Directory, running
from tests.pki import Authority


class Served(NamedTuple):
    """A directory, and the file of the authority of its certificate."""

    directory: Directory
    authority: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = tmp_path_factory.mktemp("slapd")
    root = Authority.root()
    with running(path / "one", root) as directory:
        yield Served(directory, root.write_certificate(path / "ca.pem"))
