"""docs/troubleshooting.md: what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from lbproxy.cli import main
from lbproxy.reasons import TABLE

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "troubleshooting.md").read_text()

MONITORING, CONFIGURATION, KERBEROS = (
    (DOCS / f"{name}.md").read_text() for name in ("monitoring", "configuration", "kerberos")
)
CODES = sorted(set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL))))
ROWS = set(re.findall(r"^\| `(\w+)` \|", KERBEROS, re.MULTILINE))


def test_it_names_reasons() -> None:
    assert len(TABLE.keys() & set(CODES)) > 30


@pytest.mark.parametrize("name", CODES)
def test_a_name_is_a_reason_or_in_the_manual(name: str) -> None:
    """Of the table, of kerberos checks, a log event, a key of the access log or a metric, or a key of the file."""
    assert name in TABLE or name in ROWS or re.search(rf"`(\w+\.)*{name}`", MONITORING + CONFIGURATION), name


@pytest.mark.parametrize("status", [421, 502, 503, 504])
def test_a_status_has_every_reason_that_lbproxy_answers_it_with(status: int) -> None:
    [section] = re.findall(rf"^## {status} .*?(?=^## )", PAGE, re.MULTILINE | re.DOTALL)
    assert {row.label for row in TABLE.values() if row.status == status} <= set(re.findall(r"`(\w+)`", section))


def test_its_commands_and_options_are_there() -> None:
    found = set(re.findall(r"(?:^|`)lbproxy ([a-z]+)((?: --[a-z-]+)*)", PAGE, re.MULTILINE))
    assert len(found) > 5
    for name, options in found:
        result = CliRunner().invoke(main, [name, "--help"], catch_exceptions=False)
        assert result.exit_code == 0, name
        assert all(option in result.output for option in options.split()), (name, options)
