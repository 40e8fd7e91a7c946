from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from aiohttp import web

from lbproxy.doctor.connector import installation
from lbproxy.doctor.finding import Outcome
from lbproxy.instance.facts import read_facts
from lbproxy.instance.model import Where
from tests.control.probes.kerberos.peers import Corp
from tests.doctor.connector.conftest import Looking
from tests.doctor.looking import only, told
from tests.doctor.servers import site
from tests.instance.connector import PASSWORD, SECRET, Connector, with_certificates
from tests.instance.drift import DRIFTS


async def test_one_that_is_well(look: Looking, connector: Connector) -> None:
    assert told(await installation.files(look())) == [f"ok: {connector.directory} has all that it needs"]


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"SESSION_SECRET": "a1b2c3d4567"}, "SESSION_SECRET: has 11 characters, and needs 32"),
        (
            {"LDAP_BIND_PASSWORD": "plain"},
            "LDAP_BIND_PASSWORD: is not encrypted yet, so the instance has not started once",
        ),
        ({"KERBEROS_DEBUG_USER": "x"}, "KERBEROS_DEBUG_USER: is set, so everybody is signed in as that user"),
        ({"SERVER_URL": None}, "SERVER_URL: is missing"),
    ],
)
async def test_what_would_not_serve(look: Looking, settings: dict[str, str], found: str) -> None:
    said = only(await installation.files(look(**settings)))
    assert (said.outcome, said.found) == (Outcome.PROBLEM, found)
    assert said.repair


@pytest.mark.parametrize("content", ["{", "[]", "\0\0"])
async def test_a_config_that_is_no_json(look: Looking, connector: Connector, content: str) -> None:
    sight = look()
    (connector.directory / "config.json").write_text(content)
    found = only(await installation.files(sight))
    assert found.outcome is Outcome.PROBLEM
    assert "config.json" in found.found


async def test_what_may_not_be_read_is_told(look: Looking, connector: Connector) -> None:
    sight = look()
    path = connector.directory / "config.json"
    path.unlink()
    os.mkfifo(path)  # whoever opens it without care hangs
    assert "config.json: not a regular file" in only(await installation.files(sight)).found


@pytest.mark.parametrize("fact", DRIFTS)
async def test_drift_is_found_beside_another(look: Looking, connector: Connector, tmp_path: Path, fact: str) -> None:
    with_certificates(connector)
    other = Connector(shutil.copytree(connector.directory, tmp_path / "other"))
    sight = look(asked={"beside": str(other.directory)})
    assert told(await installation.beside(sight)) == [f"ok: it is like {other.directory}"]
    drift, words = DRIFTS[fact]
    drift(connector)
    found = only(await installation.beside(look(asked={"beside": str(other.directory)})))
    assert (found.outcome, found.found.split(" ")[0]) == (Outcome.PROBLEM, fact)
    assert words in found.why
    assert SECRET not in str(found)
    assert PASSWORD not in str(found)


async def test_facts_of_another_host_are_read_beside_the_other_checks(look: Looking, connector: Connector) -> None:
    """The server is in this loop: a check that held the loop up would get no answer, and delay the others."""
    own = read_facts("auth0", Where(connector.directory)).model_dump_json()

    async def facts(_: web.Request) -> web.Response:
        return web.Response(text=own)

    async with site({"/facts": facts}) as port:
        url = f"http://127.0.0.1:{port}/facts"
        assert told(await installation.beside(look(asked={"beside": url}))) == [f"ok: it is like {url}"]


async def test_the_address_of_the_balancer(look: Looking) -> None:
    assert only(await installation.server_url(look())).outcome is Outcome.OK
    found = only(await installation.server_url(look(SERVER_URL="https://c2.corp.example:4000/")))
    assert found.outcome is Outcome.PROBLEM
    assert '"SERVER_URL": "https://login.corp.example" in config.json' in found.repair
    assert only(await installation.server_url(look(asked={"server_url": ""}))).outcome is Outcome.UNSEEN
    assert only(await installation.server_url(look(SERVER_URL=None))).outcome is Outcome.PROBLEM


@pytest.mark.parametrize(
    ("settings", "outcome"),
    [
        ({}, Outcome.WARNING),
        ({"WITH_KERBEROS_PROXY_FRONTEND": True}, Outcome.PROBLEM),
        ({"MAX_HEADER_SIZE": 131072, "KERBEROS_AUTH": True}, Outcome.OK),
        ({"MAX_HEADER_SIZE": "128K"}, Outcome.PROBLEM),
        ({"MAX_HEADER_SIZE": 0, "KERBEROS_AUTH": True}, Outcome.PROBLEM),
    ],
)
async def test_room_for_large_tickets(look: Looking, settings: dict[str, object], outcome: Outcome) -> None:
    assert only(await installation.heads(look(**settings))).outcome is outcome


def test_its_keytab(look: Looking, corp: Corp, tmp_path: Path) -> None:
    found = only(installation.keytab(look(keytab=corp.keytab)))
    assert found.found == f"{corp.keytab}: HTTP/login.corp.example@CORP.EXAMPLE kvno 1, aes256-sha1"
    corp.kadmin_talks(f"ktadd -k {tmp_path}/rc4 -e arcfour-hmac:normal HTTP/login.corp.example")
    assert only(installation.keytab(look(keytab=tmp_path / "rc4"))).outcome is Outcome.WARNING
    assert only(installation.keytab(look(keytab=tmp_path / "none"))).outcome is Outcome.PROBLEM
