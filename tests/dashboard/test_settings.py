from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.dashboard.settings import WebSettings
from tests.dashboard.site import settings


def test_crosses_the_pipe_whole(tmp_path: Path) -> None:
    one = settings(tmp_path, sign_in=["password"], viewers=["*"])
    one.sessions.append({"digest": "x", "user": "olga", "how": "password", "began": 1.0, "used": 2.0})
    line = one.encode()
    assert line.count(b"\n") == 1
    assert WebSettings.decode(line) == one


def test_the_balancer_is_at_a_path_or_an_address(tmp_path: Path) -> None:
    assert settings(tmp_path, admin=["/run/a.sock"]).admin_bind == Path("/run/a.sock")
    assert settings(tmp_path, admin=["127.0.0.1", 80]).admin_bind == ("127.0.0.1", 80)
    with pytest.raises(ValueError, match="no address"):
        _ = settings(tmp_path, admin=[80]).admin_bind
