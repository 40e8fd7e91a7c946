"""An installation of the Auth0 connector to look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lbproxy.doctor.connector.sight import Asked, Sight
from lbproxy.instance.model import Where
from tests.instance.connector import Connector

URL = "https://login.corp.example"

Looking = Callable[..., Sight]


@pytest.fixture
def connector(tmp_path: Path) -> Connector:
    return Connector.make(tmp_path / "connector")


@pytest.fixture
def look(connector: Connector) -> Looking:
    """Makes what checks look at: the connector, with other settings."""

    def make(keytab: Path | None = None, asked: dict[str, Any] | None = None, **settings: Any) -> Sight:
        connector.set(**settings)
        where = Where(connector.directory, keytab=keytab)
        return Sight(replace(Asked("auth0", where, URL), **(asked or {})))

    return make
