"""NTLM through lbproxy, where the connectors ask the domain controller about each response, by winbindd."""

from __future__ import annotations

import asyncio
import shlex
import shutil
from collections import Counter
from collections.abc import AsyncIterator

import pytest_asyncio
import spnego

from tests.active_directory import GROUPS, WORKGROUP, Domain

from ..client import HOST, Client
from ..conftest import Balance
from ..direct_auth.answer import Answer
from ..direct_auth.apache import apache
from ..direct_auth.person import Context, legs
from ..direct_auth.place import Place
from ..instance import Instance
from .conftest import started

LOGINS = 20
"""Of each user, and each on a connection of its own."""

SCHEMES = {"NTLM": "ntlm", "Negotiate": "negotiate"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ntlm_connectors(active_directory: Domain, place: Place) -> AsyncIterator[list[Instance]]:
    """gss-ntlmssp looks for winbindd in /run/samba, and needs its privileged socket; without a file of passwords."""
    shutil.chown(active_directory.winbind_privileged, group="nogroup")  # that of Apache
    steps = [
        "unset NTLM_USER_FILE",
        "mount -t tmpfs tmpfs /run",
        "mkdir -p /run/samba/winbindd",
        f"mount --bind {shlex.quote(str(active_directory.first.winbind))} /run/samba/winbindd",
        'exec "$@"',
    ]
    under = ["unshare", "--mount", "sh", "-c", " && ".join(steps), "sh"]
    members = [apache(name, place, bound=True, ntlm=True, under=under) for name in ("n1", "n2", "n3")]
    async with started(*members) as instances:
        yield instances


def response_to(name: str, password: str, protocol: str) -> Context:
    """bare NTLM, or NTLM inside SPNEGO."""
    options = spnego.NegotiateOptions.use_negotiate if protocol == "negotiate" else spnego.NegotiateOptions.use_ntlm
    return spnego.client(f"{WORKGROUP}\\{name}", password, HOST, "HTTP", protocol=protocol, options=options)


async def signed_in(client: Client, corp: Domain, name: str, scheme: str) -> Answer:
    answers = await legs(client, response_to(name, corp.passwords[name], SCHEMES[scheme]), scheme, f"/wsfed?{name}")
    assert [answer.status for answer in answers] == [401, 200], answers
    return Answer.of(answers[-1])


async def test_every_user_is_answered_as_that_user(
    active_directory: Domain, ntlm_connectors: list[Instance], balance: Balance
) -> None:
    balancer = await balance(*ntlm_connectors)

    async def visit(name: str, scheme: str) -> str:
        async with await balancer.connect() as client:
            first = await signed_in(client, active_directory, name, scheme)
            kept = Answer.of(await client.ask(f"/wsfed?{name}&kept"))
        assert first.user == kept.user == f"{WORKGROUP}\\{name}"
        assert (first.instance, kept.path) == (kept.instance, f"/wsfed?{name}&kept")
        return first.instance

    visits = (visit(name, scheme) for _ in range(LOGINS) for name in GROUPS for scheme in SCHEMES)
    instances = Counter(await asyncio.gather(*visits))
    assert instances.total() == LOGINS * len(GROUPS) * len(SCHEMES)
    assert set(instances) == {"n1", "n2", "n3"}


async def test_the_directory_refuses_a_wrong_password(
    active_directory: Domain, ntlm_connectors: list[Instance], balance: Balance
) -> None:
    active_directory.add("ntlm-guess")
    balancer = await balance(*ntlm_connectors)
    async with await balancer.connect() as client:
        answers = await legs(client, response_to("ntlm-guess", "a guess", "ntlm"), "NTLM", "/wsfed")
        assert [answer.status for answer in answers] == [401, 401]
    async with await balancer.connect() as client:
        assert (await signed_in(client, active_directory, "ntlm-guess", "NTLM")).user == f"{WORKGROUP}\\ntlm-guess"
