from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lbproxy.config import AdminWeb
from lbproxy.config.models import Base
from lbproxy.preflight import Report
from lbproxy.preflight.web import inspect_web
from tests.dashboard.site import make_files


def web(folder: Path, **changed: object) -> AdminWeb:
    given = {
        "bind": "127.0.0.1:9443", "certificate": "web.pem", "key": "web.key", "sign_in": ["password", "certificate"],
        "passwords": "passwd", "client_ca": "ca.pem", "operators": ["*"],
    }  # fmt: skip
    return AdminWeb.model_validate({**given, **changed}, context=Base(folder))


def problems(report: Report) -> list[str]:
    return [str(problem) for problem in report.problems]


def test_sound_files(tmp_path: Path, report: Report) -> None:
    make_files(tmp_path)
    inspect_web(report, web(tmp_path))
    inspect_web(report, None)
    assert (report.problems, report.warnings) == ([], [])


def test_everything_that_is_wrong_is_named(tmp_path: Path, report: Report) -> None:
    make_files(tmp_path)
    (tmp_path / "passwd").write_text("olga")
    changed = {"key": "none.key", "client_ca": "none.pem", "keytab": "none.keytab"}
    inspect_web(report, web(tmp_path, sign_in=["kerberos", "password", "certificate"], **changed))
    found = "\n".join(problems(report))
    for key in ("admin.web.key", "admin.web.client_ca", "admin.web.keytab", "admin.web.passwords"):
        assert f"{key}: {tmp_path}/" in found
    assert "passwd:1: not NAME:HASH" in found


def test_passwords_that_all_can_read(tmp_path: Path, report: Report) -> None:
    make_files(tmp_path)
    (tmp_path / "passwd").chmod(0o644)
    inspect_web(report, web(tmp_path))
    assert [str(one) for one in report.warnings] == [
        f"admin.web.passwords: {tmp_path}/passwd is open to every account of this machine, which could guess at it"
    ]


@pytest.mark.parametrize("name", ["jinja2", "markupsafe", "aiohttp_sse"])
def test_an_extra_that_is_not_installed_is_named(
    tmp_path: Path, report: Report, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    make_files(tmp_path)
    monkeypatch.setitem(sys.modules, name, None)  # as if it were not there (importlib.util.find_spec)
    inspect_web(report, web(tmp_path))
    said = f"admin.web: the dashboard needs an optional part: install lbproxy[dashboard] ({name})"
    assert [one for one in problems(report) if one.startswith("admin.web: ")] == [said]
