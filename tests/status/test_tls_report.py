from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lbproxy.config import Config, load
from lbproxy.runtime.data_path import DataPath
from lbproxy.status.certificate_expiry import Ending
from lbproxy.status.tls_report import NOTHING, TlsReport, merged, tls_report, together
from tests.pki import DAY, Authority, write_crls
from tests.process.places import listen_all

FILE = """
server_url = "https://login.corp.example"
[listener.login]
bind = "127.0.0.1:0"
pool = "connectors"
tls = { certificate = "leaf.pem", key = "leaf.key", client_certificate = "required", client_ca = "users.pem",
        client_crl = ["users.crl"], client_identity = "none" }
[listener.plain]
bind = "127.0.0.1:0"
pool = "connectors"
[pool.connectors]
backends = [{ name = "c1", url = "http://127.0.0.1:9" }]
""".replace("\n        ", " ")


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[tuple[Config, DataPath]]:
    """A data path whose clients are refused, since their authority's revocation list has ended."""
    root = Authority.root("users")
    root.server("login.corp.example").write(tmp_path)
    root.write_certificate(tmp_path / "users.pem")
    write_crls(tmp_path / "users.crl", root.crl(next_update=-DAY))
    (tmp_path / "lbproxy.toml").write_text(FILE)
    config = load(tmp_path / "lbproxy.toml", {})
    sockets = listen_all(config)
    data_path = DataPath(config, sockets, lambda record: None, False)
    yield config, data_path
    data_path.stop()
    for sock in sockets.values():
        sock.close()


async def test_everything_that_is_known_crosses_a_channel(made: tuple[Config, DataPath], tmp_path: Path) -> None:
    report = tls_report(*made, now=tmp_path.stat().st_mtime)
    assert report["files"] == [{"where": "listener.login.tls", "refused": None}]
    assert report["shut_out"] == {"login": {"authorities": ["CN=users"], "everybody": True}}
    assert [(one.kind, one.path) for one in report["endings"]] == [
        ("crl", f"{tmp_path}/users.crl"),
        ("certificate", f"{tmp_path}/leaf.pem"),
        ("client_ca", f"{tmp_path}/users.pem"),
    ]
    crossed = json.loads(json.dumps(report))
    assert crossed | {"endings": [Ending(*one) for one in crossed["endings"]]} == report


def report(where: str, why: str = "", shut_out: bool = False) -> TlsReport:
    ending = Ending(where, "certificate", "/leaf.pem", f"CN={why}", 1.0)
    return {
        "endings": [ending],
        "files": [{"where": where, "refused": {"why": why, "since": 1.0} if why else None}],
        "shut_out": {where: {"authorities": [why], "everybody": False}} if shut_out else {},
    }


def test_what_is_wrong_in_one_process_is_wrong() -> None:
    fine, wrong = report("a"), report("a", "no key", shut_out=True)
    for reports in ([fine, wrong], [wrong, fine], [NOTHING, wrong, fine]):
        found = merged(reports)
        assert (found["files"], found["shut_out"]) == (wrong["files"], wrong["shut_out"])
    assert merged([fine, wrong])["endings"] == fine["endings"]
    assert merged([report("a", "first"), report("a", "second")])["files"] == report("a", "first")["files"]


def test_nothing_is_known_before_somebody_has_told_it() -> None:
    assert merged([]) == merged([NOTHING]) == NOTHING


async def test_two_that_read_different_files_are_in_one_order(made: tuple[Config, DataPath]) -> None:
    own = tls_report(*made, now=0.0)
    ends = own["endings"][1].ends + 1.0
    web: TlsReport = {
        "endings": [Ending("admin.web", "certificate", "web.pem", "CN=admin", ends)],
        "files": [{"where": "admin.web", "refused": {"why": "web.pem: it is broken", "since": 5.0}}],
        "shut_out": {},
    }
    found = together(json.loads(json.dumps(own)), web)
    assert [one.where for one in found["endings"]].index("admin.web") == 2
    assert sorted(found["endings"], key=lambda one: one.ends) == found["endings"]
    assert [one["where"] for one in found["files"]] == ["listener.login.tls", "admin.web"]
    assert together(own, NOTHING) == own
