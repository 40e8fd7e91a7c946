"""Users with tickets as Active Directory makes them, which list all their groups, sign in at any connector."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote_plus

import gssapi
import pytest

from tests.active_directory import GROUPS, REALM, Domain

from ..balancer import Balancer
from ..client import HOST
from ..direct_auth.answer import Answer
from ..direct_auth.person import SPNEGO, Login
from ..programs import run

LOGINS = 30
"""Of each user, and each on a connection of its own."""

A_GROUP = 8
"""Bytes in a ticket for a group of the user's own domain: its number and its attributes (MS-PAC section 2.2.2)."""

USERS = tuple(GROUPS)


@pytest.fixture(scope="module")
def tickets(active_directory: Domain) -> dict[str, dict[str, str]]:
    """The environment of each user who has signed in."""
    return {name: active_directory.kinit(name) for name in USERS}


@pytest.fixture(autouse=True)
def in_domain(active_directory: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    """gssapi in this process sees the directory."""
    monkeypatch.setenv("KRB5_CONFIG", str(active_directory.configuration))


def login(environment: dict[str, str]) -> Login:
    """A fresh token of the user whose ticket is there, as a browser makes it."""
    held = gssapi.Credentials(usage="initiate", mechs=[SPNEGO], store={"ccache": environment["KRB5CCNAME"]})
    service = gssapi.Name(f"HTTP@{HOST}", gssapi.NameType.hostbased_service)
    flags = gssapi.RequirementFlag.mutual_authentication
    return Login(gssapi.SecurityContext(name=service, creds=held, mech=SPNEGO, flags=flags, usage="initiate"))


async def curl(balancer: Balancer, environment: dict[str, str]) -> Answer:
    port = balancer.address[1]
    variables = [f"{name}={value}" for name, value in environment.items()]
    ran = await run(
        *("env", *variables, "curl", "--silent", "--show-error", "--fail", "--negotiate", "--user", ":"),
        *("--cacert", str(balancer.path.with_name("ca.pem")), "--resolve", f"{HOST}:{port}:127.0.0.1"),
        f"https://{HOST}:{port}/wsfed",
    )
    assert ran.status == 0, ran.err
    facts = json.loads(ran.out)
    return Answer(*(unquote_plus(facts[key]) for key in ("user", "instance", "path")))


@pytest.mark.parametrize("name", USERS)
async def test_curl_signs_in(balancer: Balancer, tickets: dict[str, dict[str, str]], name: str) -> None:
    answers = [await curl(balancer, tickets[name]) for _ in range(6)]
    assert {answer.user for answer in answers} == {f"{name}@{REALM}"}
    assert Counter(answer.instance for answer in answers) == {"c1": 2, "c2": 2, "c3": 2}


async def test_nobody_is_answered_as_another_user(balancer: Balancer, tickets: dict[str, dict[str, str]]) -> None:
    """All at once, in turns, each with a proof that the answer is for this very token."""

    async def visit(name: str) -> str:
        one = login(tickets[name])
        async with await balancer.connect() as client:
            response = await client.ask(f"/wsfed?{name}", "GET", one.line)
            assert response.status == 200
            assert one.proven(response)
            answer, kept = Answer.of(response), Answer.of(await client.ask(f"/wsfed?{name}&kept"))
        assert (answer.user, answer.path) == (f"{name}@{REALM}", f"/wsfed?{name}")
        assert (kept.user, kept.instance) == (answer.user, answer.instance)
        return answer.instance

    instances = Counter(await asyncio.gather(*(visit(name) for _ in range(LOGINS) for name in USERS)))
    assert instances == {"c1": LOGINS, "c2": LOGINS, "c3": LOGINS}


async def test_how_large_tokens_are(
    balancer: Balancer, tickets: dict[str, dict[str, str]], record_property: Callable[[str, object], None]
) -> None:
    """The sizes of docs/kerberos.md: so many characters of base64 in the header."""
    sizes = {name: len(login(tickets[name]).line.rpartition(" ")[2]) for name in USERS}
    record_property("told", f"characters in a token: {sizes}")
    for few, many in (("alice", "bob"), ("bob", "carol")):
        groups, more = GROUPS[many] - GROUPS[few], sizes[many] - sizes[few]
        assert more * 3 / 4 == pytest.approx(groups * A_GROUP, abs=40), "what else there is may differ by some bytes"
    assert sizes["carol"] < len(b64encode(bytes(48_000))), "Windows refuses larger ones by default"
    documented = (Path(__file__).parents[3] / "docs" / "kerberos.md").read_text()
    for name, size in sizes.items():
        [told] = [line for line in documented.splitlines() if line.startswith(f"| {GROUPS[name]:,} of its own")]
        characters = int(told.split("|")[2].replace(",", ""))
        assert size == pytest.approx(characters, abs=60), "names differ in length"


async def test_the_check_signs_in_beside_them(balancer: Balancer) -> None:
    [pool] = (await balancer.status())["pools"]
    assert pool["tickets"]["reason"] is None
    assert [backend["probe"]["detail"] for backend in pool["backends"]] == ["200, signed in"] * 3
    assert [backend["binds"] for backend in pool["backends"]] == [True] * 3
