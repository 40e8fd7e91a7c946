from __future__ import annotations

import os
import resource

import pytest

from lbproxy.doctor.balancer.host import _limit, descriptors
from lbproxy.doctor.finding import Outcome, UnseenError
from tests.doctor.conftest import Looking
from tests.doctor.looking import only


async def test_enough(look: Looking) -> None:
    found = only(await descriptors(look(listener="max_connections = 10")))
    assert found.outcome is Outcome.OK
    assert "of which 20 may be needed" in found.found


async def test_not_enough(look: Looking) -> None:
    found = only(await descriptors(look(listener="max_connections = 900000000")))
    assert found.outcome is Outcome.WARNING
    assert "LimitNOFILE=1800001024" in found.repair


def test_the_limit_of_a_process_is_its_own() -> None:
    assert _limit(os.getpid()) == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    with pytest.raises(UnseenError, match="No such file"):
        _limit(2**30)
