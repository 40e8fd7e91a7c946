"""Browsers sign in with a ticket of Active Directory, as their policies let them, with many groups too."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.active_directory import REALM, Domain

from ..balancer import Balancer
from ..client import HOST
from ..direct_auth import browser as chromium
from . import firefox

CHROMIUM_POLICIES = "/etc/chromium"
FIREFOX_POLICIES = "/usr/lib/firefox-esr/distribution"

USERS = ("alice", "carol")


def with_policies(folder: Path, place: str) -> list[str]:
    """The command that runs another one where `place` has what is in `folder`, and changes nothing for others."""
    return ["unshare", "--mount", "sh", "-c", f'mount --bind {shlex.quote(str(folder))} {place} && exec "$@"', "sh"]


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    folder = tmp_path / "profile"
    folder.mkdir()
    return folder


def written(file: Path, policies: object) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(policies))


async def signed_in(balancer: Balancer, page: str, name: str, browser: str) -> None:
    """The page is this user's; the browser was asked once and answered at once."""
    assert f'You are <b id="user">{name}@{REALM}</b>' in page
    records = [record for record in balancer.access if record["target"] == "/"]
    assert [record["status"] for record in records] == [401, 200]
    assert all(browser in record["user_agent"] for record in records)


@pytest.mark.parametrize("name", USERS)
async def test_chromium(balancer: Balancer, active_directory: Domain, tmp_path: Path, profile: Path, name: str) -> None:
    written(tmp_path / "etc" / "policies" / "managed" / "kerberos.json", {"AuthServerAllowlist": HOST})
    under = with_policies(tmp_path / "etc", CHROMIUM_POLICIES)
    balancer.forget()
    page = await chromium.browse(balancer, profile, active_directory.kinit(name), options=(), under=under)
    await signed_in(balancer, page, name, "Chrome")


@pytest.mark.parametrize("name", USERS)
async def test_firefox_with_a_policy(
    balancer: Balancer, active_directory: Domain, tmp_path: Path, profile: Path, name: str
) -> None:
    policies = {"policies": {"Authentication": {"SPNEGO": [f"https://{HOST}"]}}}
    written(tmp_path / "distribution" / "policies.json", policies)
    under = with_policies(tmp_path / "distribution", FIREFOX_POLICIES)
    balancer.forget()
    page = await firefox.browse(balancer, profile, active_directory.kinit(name), {}, under)
    await signed_in(balancer, page, name, "Firefox")


async def test_firefox_with_a_preference(balancer: Balancer, active_directory: Domain, profile: Path) -> None:
    preference = {"network.negotiate-auth.trusted-uris": f"https://{HOST}"}
    balancer.forget()
    page = await firefox.browse(balancer, profile, active_directory.kinit("bob"), preference)
    await signed_in(balancer, page, "bob", "Firefox")


async def test_a_browser_that_was_told_nothing_presents_no_ticket(
    balancer: Balancer, active_directory: Domain, profile: Path
) -> None:
    balancer.forget()
    page = await firefox.browse(balancer, profile, active_directory.kinit("alice"), {})
    assert "You are" not in page
    assert {record["status"] for record in balancer.access if record["target"] == "/"} == {401}
