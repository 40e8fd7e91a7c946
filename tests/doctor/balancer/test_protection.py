from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.doctor.balancer.protection import bindings
from lbproxy.doctor.finding import Outcome
from tests.doctor.conftest import Looking
from tests.doctor.looking import only
from tests.doctor.servers import tls_server
from tests.pki import Authority


async def test_without_tls_on_both_sides_there_is_nothing_to_compare(look: Looking) -> None:
    assert only(await bindings(look())).outcome is Outcome.OK


@pytest.mark.parametrize(("same", "outcome"), [(True, Outcome.OK), (False, Outcome.WARNING)])
async def test_the_two_certificates(look: Looking, tmp_path: Path, same: bool, outcome: Outcome) -> None:
    root = Authority.root()
    ours = root.server("login.corp.example").write(tmp_path, "login")
    theirs = ours if same else root.server("c1.corp.example").write(tmp_path, "c1")
    async with tls_server(theirs) as port:
        found = only(
            await bindings(
                look(
                    backend=f"https://127.0.0.1:{port}",
                    url="https://login.corp.example",
                    listener=f'[listener.login.tls]\ncertificate = "{ours.chain}"\nkey = "{ours.key}"',
                )
            )
        )
    assert (found.outcome, found.subject) == (outcome, "connectors/c1")
