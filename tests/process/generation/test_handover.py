"""What a generation leaves to the next one."""

from __future__ import annotations

import json
import time

from lbproxy.auth.certificate import ClientCertificate
from lbproxy.auth.mint import Mint
from lbproxy.balance.backend import Backend, State
from lbproxy.balance.health import Rules
from lbproxy.balance.pool import Pool
from lbproxy.process.generation.handover import Known, adopt, export_minted, export_operated, operate, remember_minted
from tests.pki import Authority

CA = Authority.root("mint", path_length=0)


def pool(name: str, **urls: str) -> Pool:
    return Pool(name, [Backend(name, url) for name, url in urls.items()], Rules())


def known(url: str, old: Pool, name: str) -> Known:
    backend = old.by_name(name)
    assert backend is not None
    return {"url": url, "condition": list(old.condition(backend))}


def test_what_was_minted_is_used_under_the_same_authority_only() -> None:
    alice = ClientCertificate.from_chain(CA.issue("alice").chain)
    now = time.time()
    old, other, new = (Mint(one.certificate, one.key, 600.0) for one in (CA, Authority.root("other"), CA))
    minted = old.mint(alice, now)
    left = export_minted({"login": old, "removed": other})
    mints = {"login": new, "added": old}
    remember_minted(left, mints)
    assert new.mint(alice, now) == minted
    remember_minted({"login": left["login"]}, {"login": other})
    assert other.minted_records() == []


def test_a_backend_that_moved_is_new_but_stays_drained() -> None:
    old = pool("p", same="http://a.test", moved="http://b.test", drained="http://c.test", gone="http://d.test")
    for backend in old.backends:
        old.probed(backend, True, "", 1.0)
        if backend.name == "drained":
            old.drain(backend)
    operated = export_operated({"p": old})
    left = {f"p/{backend.name}": known(backend.url, old, backend.name) for backend in old.backends}
    new = pool("p", same="http://a.test", moved="http://x.test", drained="http://y.test", added="http://z.test")
    other = pool("q", same="http://a.test")
    assert operate(json.loads(json.dumps(operated)), {"p": new, "q": other}) == {"p": ()}
    adopt(left, {"p": new, "q": other}, 2.0)
    assert {one.name: (one.state, one.draining) for one in new.backends} == {
        "same": (State.UP, False),
        "moved": (State.NEW, False),
        "drained": (State.NEW, True),
        "added": (State.NEW, False),
    }
    assert other.backends[0].state is State.NEW
