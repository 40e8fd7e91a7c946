from __future__ import annotations

from lbproxy.doctor.balancer.ports import from_elsewhere
from lbproxy.doctor.finding import Outcome
from tests.doctor.conftest import Looking
from tests.doctor.looking import only


async def test_it_says_what_to_run_on_another_host(look: Looking) -> None:
    found = only(await from_elsewhere(look(backend="http://10.0.0.11:4000", url="https://login.corp.example")))
    assert found.outcome is Outcome.UNSEEN
    options = "--server-url https://login.corp.example --from-elsewhere http://10.0.0.11:4000"
    assert found.repair == f"on another host: lbproxy doctor {options}"
