from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lbproxy.config import Config, load
from lbproxy.errors import StartError
from lbproxy.runtime.build_fleet import digest, make_place, read_secret

FILE = """
server_url = "http://login.corp.example"
{top}
[listener.login]
bind = "127.0.0.1:{port}"
pool = "connectors"
deny_paths = ["/a", "/b"]
[listener.login.tls]
certificate = "{folder}/login.pem"
key = "{folder}/login.key"
[pool.connectors]
backends = [{{ name = "c1", url = "{url}" }}]
[fleet]
name = "login-eu"
replica = "{replica}"
etcd = ["http://127.0.0.1:2379"]
user = "lb"
password = "{password}"
"""

DEFAULTS = {
    "top": "",
    "port": "80",
    "folder": "/etc/lb",
    "url": "http://10.0.0.1:4000",
    "replica": "lb1",
    "password": "p",
}


def config(directory: Path, **changed: str) -> Config:
    path = directory / "lbproxy.toml"
    path.write_text(FILE.format(**DEFAULTS | changed))
    return load(path, {})


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"replica": "lb2"}, True),
        ({"password": "q"}, True),
        ({"port": "8080"}, True),
        ({"folder": "/srv"}, True),
        ({"top": "workers = 2"}, True),
        ({"url": "http://10.0.0.2:4000"}, False),
        ({"top": 'drain_timeout = "5s"'}, False),
    ],
)
def test_what_belongs_to_one_host_is_no_difference(tmp_path: Path, changed: dict[str, str], same: bool) -> None:
    assert (digest(config(tmp_path, **changed)) == digest(config(tmp_path))) is same


def test_the_digest_is_the_same_in_every_process(tmp_path: Path) -> None:
    """Whatever order its sets and dictionaries have there."""
    wanted = digest(config(tmp_path))
    code = (
        "import sys; from pathlib import Path; from lbproxy.config import load;"
        "from lbproxy.runtime.build_fleet import digest; print(digest(load(Path(sys.argv[1]), {})))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "lbproxy.toml")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == wanted


def test_a_place_has_what_the_file_says(tmp_path: Path) -> None:
    place = make_place(config(tmp_path), "run", 3)
    assert (place.fleet, place.replica, place.ttl, place.generation) == ("login-eu", "lb1", 5.0, 3)
    assert place.listeners == {"login": "connectors"}
    assert place.key == "/lbproxy/login-eu/replicas/lb1"


def test_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    assert read_secret(config(tmp_path)) == b""
    path = tmp_path / "fleet.secret"
    path.write_bytes(bytes(range(64)))
    told = config(tmp_path)
    assert told.fleet is not None
    with_secret = told.model_copy(update={"fleet": told.fleet.model_copy(update={"secret_file": path})})
    assert read_secret(with_secret) == bytes(range(64))
    path.unlink()
    with pytest.raises(StartError, match=r"fleet\.secret_file: .*fleet\.secret: No such file"):
        read_secret(with_secret)
