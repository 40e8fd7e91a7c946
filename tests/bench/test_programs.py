"""Versions that were unpacked, and a proxy that is asked for by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.load.certificate import Certificate
from bench.load.nginx_file import stream_module
from bench.load.peers import ASKED_FOR, PEERS
from bench.load.rounds import site_of
from bench.load.scenario import TABLE
from bench.options import Names


def test_an_unpacked_nginx_has_its_own_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, module = tmp_path / "programs/nginx", tmp_path / "usr/lib/nginx/modules/ngx_stream_module.so"
    for path in (program, module):
        path.parent.mkdir(parents=True)
        path.touch(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    assert stream_module() == module
    monkeypatch.setenv("PATH", str(tmp_path))
    assert stream_module() == Path("/usr/lib/nginx/modules/ngx_stream_module.so")


def test_what_is_only_asked_for_by_name_is_known() -> None:
    assert set(PEERS) >= ASKED_FOR
    assert Names(list(PEERS)).convert("traefik", None, None) == ["traefik"]


@pytest.mark.parametrize(("scenario", "kind"), [("browser", "http"), ("tls-client", "http"), ("tcp-1m", "tcp")])
def test_traefik_stands_before_the_scenarios_backends(scenario: str, kind: str, tmp_path: Path) -> None:
    made = Certificate.write(tmp_path)
    site = site_of("traefik", TABLE[scenario], 64, range(9000, 9100), made, tmp_path)
    site.directory.mkdir()
    command = PEERS["traefik"].command(site)
    static = json.loads(Path(str(command[-1]).partition("=")[2]).read_text())
    assert static["entryPoints"]["login"]["address"] == f"127.0.0.1:{site.port}"
    routers = json.loads(Path(static["providers"]["file"]["filename"]).read_text())
    servers = routers[kind]["services"]["backends"]["loadBalancer"]["servers"]
    assert [next(iter(one.values())).rpartition(":")[2] for one in servers] == ["9000", "9001", "9002"]
    asked = routers.get("tls", {}).get("options", {}).get("default", {})
    assert bool(asked) == TABLE[scenario].client_certificate
