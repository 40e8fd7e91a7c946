"""What a generation leaves to the next one."""

from __future__ import annotations

import json
import time

from lbproxy.auth.certificate import ClientCertificate
from lbproxy.auth.mint import Mint
from lbproxy.balance.backend import Backend, State
from lbproxy.balance.health import Rules
from lbproxy.balance.member import Member
from lbproxy.balance.operators import add, change, said
from lbproxy.balance.orders import Stamp
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


def test_what_operators_said_goes_on_and_the_new_file_wins() -> None:
    old = pool("p", file="http://a.test", plain="http://b.test")
    gone = pool("gone", a="http://a.test")
    stamp = Stamp("olga", 5.0)
    for name in ("added", "taken"):
        add(old, Member(name, f"http://{name}.test", 2, False, stamp))
    add(gone, Member("lost", "http://lost.test"))
    change(old, "file", {"weight": 7}, stamp, force=False)
    for backend in old.backends:
        old.probed(backend, True, "", 1.0)
    operated = json.loads(json.dumps(export_operated({"p": old, "gone": gone})))
    left = {f"p/{backend.name}": known(backend.url, old, backend.name) for backend in old.backends}
    urls = {"file": "http://a.test", "plain": "http://b.test", "taken": "http://x.test"}
    new = Pool("p", [Backend(name, url, weight=4, standby=True) for name, url in urls.items()], Rules())
    assert operate(operated, {"p": new}) == {
        "p": ("taken: the configuration file has it, at http://x.test",),
        "gone": ("lost: the configuration has no pool gone",),
    }
    adopt(left, {"p": new}, 2.0)
    assert {one.name: (one.url, one.weight, one.standby, one.source, one.state) for one in new.backends} == {
        "file": ("http://a.test", 7, True, "file", State.UP),
        "plain": ("http://b.test", 4, True, "file", State.UP),
        "taken": ("http://x.test", 4, True, "file", State.NEW),
        "added": ("http://added.test", 2, False, "operator", State.UP),
    }
    assert (said(new, "added").member, new.orders) == (said(old, "added").member, old.orders)
