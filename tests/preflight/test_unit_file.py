from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.errors import StartError
from lbproxy.preflight.unit_file import UnitAccount, unit_account

UNIT = Path(__file__).parents[2] / "config" / "systemd" / "lbproxy.service"


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    return tmp_path / "lbproxy.service"


def test_our_own_unit() -> None:
    directories = (Path("/run/lbproxy"), Path("/var/log/lbproxy"))
    assert unit_account(UNIT) == UnitAccount("lbproxy", "lbproxy", (), directories)


def test_the_last_one_counts_and_groups_add_up(unit: Path) -> None:
    unit.write_text(
        "[Unit]\nUser=not\n[Service]\nUser=a\n# User=b\n User = c\nSupplementaryGroups=x \\\n  y\n"
        "SupplementaryGroups=z\nGroup=g\nGroup=\nRuntimeDirectory=one two:link\n[Install]\nUser=not\n"
    )
    assert unit_account(unit) == UnitAccount("c", None, ("x", "y", "z"), (Path("/run/one"), Path("/run/two")))


def test_drop_ins_come_after_it_in_their_order(unit: Path) -> None:
    unit.write_text("[Service]\nUser=a\nSupplementaryGroups=x\n")
    drop_ins = unit.with_name("lbproxy.service.d")
    drop_ins.mkdir()
    (drop_ins / "20-b.conf").write_text("[Service]\nUser=c\nSupplementaryGroups=\nSupplementaryGroups=y\n")
    (drop_ins / "10-a.conf").write_text("[Service]\nUser=b\n")
    (drop_ins / "30.txt").write_text("[Service]\nUser=d\n")
    assert unit_account(unit)[:3] == ("c", None, ("y",))


def test_a_unit_of_root(unit: Path) -> None:
    unit.write_text("[Service]\nExecStart=/bin/true\nDynamicUser=no\n")
    assert unit_account(unit) == UnitAccount(None, None, (), ())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "No such file or directory"),
        ("[Service]\nDynamicUser=yes", "DynamicUser: its account is made at the start"),
        ("[Service]\nUser=lb-%i", "User: 'lb-%i' depends on the instance"),
    ],
)
def test_units_that_name_no_account(unit: Path, text: str | None, problem: str) -> None:
    if text is not None:
        unit.write_text(text)
    with pytest.raises(StartError, match=f"^{unit}: {problem}"):
        unit_account(unit)
