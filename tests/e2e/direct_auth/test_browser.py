"""Chromium signs in with a Kerberos ticket, through TLS, and shows the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.demo.realm import Realm

from .browser import browse
from .conftest import Fleet, Front
from .person import Person


@pytest.mark.parametrize("kind", ["apache on", "apache off"])
async def test_chromium_signs_in(
    fleet: Fleet, front: Front, people: list[Person], realm: Realm, tmp_path: Path, kind: str
) -> None:
    balancer = await front(await fleet(kind), tls=True)
    page = await browse(balancer, tmp_path, realm.kinit(people[0].name))
    assert f'You are <b id="user">{people[0].principal}</b>' in page
    [offer, signed_in] = await balancer.accessed(2, target="/")
    assert [offer["status"], signed_in["status"]] == [401, 200]
    assert "Chrome" in signed_in["user_agent"]


async def test_chromium_without_a_ticket_is_nobody(fleet: Fleet, front: Front, realm: Realm, tmp_path: Path) -> None:
    balancer = await front(await fleet("apache on"), tls=True)
    page = await browse(balancer, tmp_path, realm.env | {"KRB5CCNAME": f"FILE:{tmp_path}/none"})
    assert "You are" not in page
    assert {record["status"] for record in await balancer.accessed(target="/")} == {401}
