"""A key that packs of tests are sealed to, since a passphrase takes a second each time; and files as mount points."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pyrage
import pytest

from lbproxy.instance.sealing import Identity


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    path = tmp_path / "identity"
    path.write_text(str(pyrage.x25519.Identity.generate()))
    return Identity.read(path)


@pytest.fixture
def mounted() -> Iterator[Callable[[Path], None]]:
    """Makes a file a mount point, as those are that a container gets from its host."""
    with ExitStack() as ends:

        def mount(path: Path) -> None:
            if subprocess.run(["mount", "--bind", path, path], capture_output=True, check=False).returncode:
                pytest.skip("only root can mount")
            ends.callback(subprocess.check_call, ["umount", path])

        yield mount
