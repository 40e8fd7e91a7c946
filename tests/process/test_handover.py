"""What a generation leaves to the next one."""

from __future__ import annotations

from lbproxy.balance.backend import Backend, State
from lbproxy.balance.health import Rules
from lbproxy.balance.pool import Pool
from lbproxy.process.handover import Known, adopt


def pool(name: str, **urls: str) -> Pool:
    return Pool(name, [Backend(name, url) for name, url in urls.items()], Rules())


def known(url: str, old: Pool, name: str) -> Known:
    backend = old.by_name(name)
    assert backend is not None
    return {"url": url, "condition": list(old.condition(backend))}


def test_a_backend_that_moved_is_new_but_stays_drained() -> None:
    old = pool("p", same="http://a.test", moved="http://b.test", drained="http://c.test", gone="http://d.test")
    for backend in old.backends:
        old.probed(backend, True, "", 1.0)
        if backend.name == "drained":
            old.drain(backend)
    left = {f"p/{backend.name}": known(backend.url, old, backend.name) for backend in old.backends}
    new = pool("p", same="http://a.test", moved="http://x.test", drained="http://y.test", added="http://z.test")
    other = pool("q", same="http://a.test")
    adopt(left, {"p": new, "q": other}, 2.0)
    assert {one.name: (one.state, one.draining) for one in new.backends} == {
        "same": (State.UP, False),
        "moved": (State.NEW, False),
        "drained": (State.NEW, True),
        "added": (State.NEW, False),
    }
    assert other.backends[0].state is State.NEW
