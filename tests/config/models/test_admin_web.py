from __future__ import annotations

from collections.abc import Callable

import pytest

from lbproxy.config import Config
from lbproxy.errors import ConfigError

WEB = '[admin.web]\nbind = "0.0.0.0:9443"\ncertificate = "a.pem"\nkey = "a.key"\noperators = ["*"]\n'


def test_defaults(load_text: Callable[[str], Config], sound: str) -> None:
    web = load_text(f'{sound}\n{WEB}sign_in = ["password"]\npasswords = "passwd"').admin.web
    assert web is not None
    assert (web.sign_in, web.viewers, web.idle_timeout, web.session_timeout) == (("password",), (), 1800.0, 43200.0)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("sign_in = []", "admin.web.sign_in: needs at least one entry"),
        ('sign_in = ["magic"]', "admin.web.sign_in"),
        ('sign_in = ["password"]\npasswords = "p"\nidle_timeout = "0s"', "admin.web.idle_timeout"),
        ('sign_in = ["password"]', 'admin.web.passwords: missing; sign_in = ["password"] needs it'),
    ],
)
def test_what_is_wrong_is_named(load_text: Callable[[str], Config], sound: str, lines: str, problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_text(f"{sound}\n{WEB}{lines}")
    assert problem in str(raised.value)


def test_browsers_need_a_port(load_text: Callable[[str], Config], sound: str) -> None:
    with pytest.raises(ConfigError, match="is a Unix socket; browsers need host:port"):
        load_text(f'{sound}\n{WEB.replace("0.0.0.0:9443", "unix:web.sock")}sign_in = ["password"]\npasswords = "p"')
