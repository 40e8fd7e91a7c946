from __future__ import annotations

from pathlib import Path

from lbproxy.config import Config, load
from lbproxy.runtime.trial import Trial, try_backends
from tests.control.probes.backends import answering, listening, unused_port

FILE = """
server_url = "http://login.test"
[listener.login]
bind = "127.0.0.1:0"
pool = "web"
[pool.web]
backends = [
  {{ name = "up", url = "http://127.0.0.1:{up}" }},
  {{ name = "away", url = "http://127.0.0.1:{away}" }},
  {{ name = "nowhere", url = "http://nowhere.invalid" }},
]
check.expect = [200]
[pool.quiet]
backends = [{{ name = "up", url = "http://127.0.0.1:{up}" }}]
check.kind = "none"
"""


def config(directory: Path, up: int) -> Config:
    path = directory / "lb.toml"
    path.write_text(FILE.format(up=up, away=unused_port()))
    return load(path, {})


def found(trial: Trial) -> tuple[tuple[str, ...], str, str | None]:
    return trial.addresses, trial.connect.detail, None if trial.probe is None else trial.probe.detail


async def test_each_backend_is_resolved_connected_to_and_probed(tmp_path: Path) -> None:
    async with listening(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as port:
        trials = await try_backends(config(tmp_path, port))
    assert list(trials) == [("web", "up"), ("web", "away"), ("web", "nowhere"), ("quiet", "up")]
    assert found(trials["web", "up"]) == (("127.0.0.1",), "connected", "200")
    assert found(trials["web", "away"]) == (("127.0.0.1",), "connection refused", "connection refused")
    addresses, connect, probe = found(trials["web", "nowhere"])
    assert addresses == ()
    assert connect.startswith("cannot resolve the name")
    assert probe is not None
    assert found(trials["quiet", "up"]) == (("127.0.0.1",), "connected", None)


async def test_an_answer_that_is_not_expected(tmp_path: Path) -> None:
    async with listening(answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")) as port:
        trials = await try_backends(config(tmp_path, port))
    probe = trials["web", "up"].probe
    assert probe is not None
    assert (probe.ok, probe.detail) == (False, "404, expected 200")
