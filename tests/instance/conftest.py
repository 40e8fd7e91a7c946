"""A key that packs of tests are sealed to: a passphrase takes a second each time."""

from __future__ import annotations

from pathlib import Path

import pyrage
import pytest

from lbproxy.instance.sealing import Identity


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    path = tmp_path / "identity"
    path.write_text(str(pyrage.x25519.Identity.generate()))
    return Identity.read(path)
