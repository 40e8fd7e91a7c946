"""docs/connectors/auth0.md, Kerberos: Apache as printed there, between lbproxy and a connector."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.ports import free_port

from ..backend import ScriptedBackend
from ..balancer import Balancer
from ..client import HOST, Client
from ..conftest import Balance
from ..instance import Instance
from .person import Person
from .place import Place

PAGE = Path(__file__).parents[3] / "docs" / "connectors" / "auth0.md"

_MODULES = Path("/usr/lib/apache2/modules")
_BASE = """\
ServerRoot {directory}
ServerName {host}
PidFile {directory}/apache.pid
DefaultRuntimeDir {directory}
{modules}
{user}
ErrorLog /dev/stderr
ErrorLogFormat "%M"
LogLevel notice
{site}
"""
_DEBIAN = ["mpm_event", "authn_core", "authz_core", "authz_user", "proxy"]
"""Modules that the package has enabled, and what `a2enmod proxy_http` enables with it."""


def recipe(place: Place, connector: ScriptedBackend) -> Instance:
    """Apache with the site of the page, whose modules are those that the page enables."""
    page = PAGE.read_text()
    [site] = re.findall(r"```apache\n(.*?)```", page, re.DOTALL)
    [enabled] = re.findall(r"^a2enmod (.*)$", page, re.MULTILINE)
    port = free_port()
    for printed, here in (
        ("4080", str(port)),
        ("*:", "127.0.0.1:"),
        ("Listen ", "Listen 127.0.0.1:"),
        ("http://127.0.0.1:4000/", f"{connector.url}/"),
        ("/etc/apache2/login.keytab", str(place.keytab("login"))),
        ("login.corp.example", HOST),
    ):
        assert printed in site
        site = site.replace(printed, here)
    file = place.directory / "apache.conf"
    modules = (f"LoadModule {name}_module {_MODULES}/mod_{name}.so" for name in [*_DEBIAN, *enabled.split()])
    user = "User nobody\nGroup nogroup" if os.getuid() == 0 else ""
    file.write_text(
        _BASE.format(directory=place.directory, host=HOST, modules="\n".join(modules), user=user, site=site)
    )
    command = ["/usr/sbin/apache2", "-D", "FOREGROUND", "-f", str(file)]
    return Instance("apache", port, command, place.directory / "apache.log", "AH00489:", place.environment("apache"))


@pytest_asyncio.fixture(loop_scope="session")
async def connector() -> AsyncIterator[ScriptedBackend]:
    backend = ScriptedBackend("connector")
    await backend.start()
    yield backend
    await backend.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def apache(place: Place, connector: ScriptedBackend) -> AsyncIterator[Instance]:
    instance = recipe(place, connector)
    await instance.start()
    yield instance
    await instance.kill()
    print(instance.last_words)  # pytest shows it beside a failure only


@pytest_asyncio.fixture(loop_scope="session")
async def balancer(apache: Instance, balance: Balance) -> Balancer:
    check = {"kind": "http", "path": "/wsfed", "expect": [401], "timeout": "10s"}
    return await balance(apache, pool={"check": check})


async def test_the_connector_gets_the_user_of_the_ticket_and_nothing_that_a_client_says(
    balancer: Balancer, apache: Instance, connector: ScriptedBackend, people: list[Person]
) -> None:
    forged = ("X-Forwarded-User: admin", "X-IISNode-LOGON_USER: CORP\\admin", "X-Large: " + "x" * 40_000)
    assert (await balancer.ask("/wsfed", "GET", *forged)).status == 401
    assert connector.requests == []
    login = people[0].login()
    signed_in = await balancer.ask("/wsfed?wa=wsignin1.0", "GET", login.line, *forged)
    assert (signed_in.status, signed_in.body) == (200, b"connector")
    assert login.proven(signed_in)
    [request] = connector.requests
    assert request.target == b"/wsfed?wa=wsignin1.0"
    assert request.get("x-forwarded-user") == people[0].principal.encode()
    assert request.get("host") == HOST.encode()
    assert request.get("x-forwarded-proto") == b"http"
    assert (request.get("x-iisnode-logon_user"), request.get("authorization")) == (None, None)


@pytest.mark.parametrize("name", ["X-Forwarded-User", "X-IISNode-LOGON_USER"])
async def test_past_the_balancer_it_is_the_same(
    balancer: Balancer, apache: Instance, connector: ScriptedBackend, people: list[Person], name: str
) -> None:
    """Apache is the one that lets in: whoever reaches it needs a ticket, and is that user."""
    async with await Client.connect(("127.0.0.1", apache.port)) as client:
        assert (await client.ask("/wsfed", "GET", f"{name}: admin")).status == 401
        assert (await client.ask("/wsfed", "GET", f"{name}: admin", people[1].login().line)).status == 200
    [request] = connector.requests
    assert request.get("x-forwarded-user") == people[1].principal.encode()
    assert request.get("x-iisnode-logon_user") is None
