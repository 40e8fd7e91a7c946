from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.control.probes.kerberos.peers import Corp


@pytest.fixture
def corp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Corp]:
    """A realm that runs, and that GSS-API in this process sees."""
    corp = Corp(tmp_path / "realm")
    monkeypatch.setenv("KRB5_CONFIG", corp.realm.env["KRB5_CONFIG"])
    yield corp
    corp.realm.stop()
