"""Which sockets a configuration needs."""

from __future__ import annotations

from pathlib import Path

from lbproxy.config import load
from lbproxy.process.generation.listen_addresses import freebind, wanted
from lbproxy.process.master.listening_sockets import Place, Wanted

FILE = """
server_url = "http://login.test"
[listener.a]
bind = "127.0.0.1:0"
pool = "p"
[listener.b]
bind = "[::1]:8080"
pool = "p"
[listener.c]
bind = "unix:c.sock"
pool = "p"
[listener.d]
bind = "127.0.0.1:0"
freebind = false
pool = "p"
[listener.e]
bind = "localhost:8082"
pool = "p"
[pool.p]
backends = [{ name = "c1", url = "http://127.0.0.1:9" }]
[admin]
bind = "unix:admin.sock"
health = "0.0.0.0:8081"
metrics = "0.0.0.0:9901"
[admin.web]
bind = "0.0.0.0:9443"
certificate = "web.pem"
key = "web.key"
sign_in = ["password"]
passwords = "passwd"
viewers = ["*"]
"""


def test_a_place_for_each_listener_and_the_admin_interface(tmp_path: Path) -> None:
    (tmp_path / "lb.toml").write_text(FILE)
    assert wanted(load(tmp_path / "lb.toml")) == [
        Wanted("listener.a.bind", Place("127.0.0.1", 0, tag="listener.a.bind")),
        Wanted("listener.b.bind", Place("::1", 8080)),
        Wanted("listener.c.bind", Place(path=str(tmp_path / "c.sock"))),
        Wanted("listener.d.bind", Place("127.0.0.1", 0, tag="listener.d.bind")),
        Wanted("listener.e.bind", Place("localhost", 8082)),
        Wanted("admin.health", Place("0.0.0.0", 8081)),
        Wanted("admin.metrics", Place("0.0.0.0", 9901)),
        Wanted("admin.web.bind", Place("0.0.0.0", 9443)),
        Wanted("admin.bind", Place(path=str(tmp_path / "admin.sock")), admin=True),
    ]
    assert freebind(load(tmp_path / "lb.toml")) == ["listener.a.bind", "listener.b.bind"]
