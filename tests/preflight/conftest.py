"""A report of today."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lbproxy.preflight import Report


@pytest.fixture
def report() -> Report:
    return Report(datetime.now(UTC))
