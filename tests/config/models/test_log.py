from __future__ import annotations

from collections.abc import Callable

import pytest

from lbproxy.config import Config
from lbproxy.errors import ConfigError

Load = Callable[[str], Config]

RECEIVERS = ("journald", "syslog:/dev/log", "syslog:udp://logs.test:514", "syslog:udp://[::1]:514", "syslog:udp://h")


@pytest.mark.parametrize("to", RECEIVERS)
@pytest.mark.parametrize("table", ["log", "access_log"])
def test_receivers(table: str, to: str, load_text: Load, sound: str) -> None:
    assert getattr(load_text(f'{sound}\n[{table}]\nto = "{to}"'), table).to == to


def test_the_default_is_standard_error_and_the_path(load_text: Load, sound: str) -> None:
    config = load_text(sound)
    assert (config.log.to, config.access_log.to, config.access_log.path) == ("stderr", "", "-")


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ('"syslog"', 'must be "stderr", "journald", "syslog:/PATH" or "syslog:udp://HOST:PORT"'),
        ("1", 'must be "stderr", "journald"'),
        ('""', 'must be "stderr", "journald"'),
        ('"syslog:tcp://h:1"', "is not a URL that begins with udp://"),
        ('"syslog:udp://h:0"', "has no usable port"),
        ('"syslog:udp://h:1/x"', "must end after the host and port"),
        ('"syslog:udp://u@h:1"', "must not carry a user name"),
        (f'"syslog:/{"x" * 107}"', "cannot be the path of a Unix socket"),
    ],
)
def test_what_is_none(to: str, why: str, load_text: Load, sound: str) -> None:
    with pytest.raises(ConfigError, match=r"log\.to: ") as caught:
        load_text(f"{sound}\n[log]\nto = {to}")
    assert why in str(caught.value)


def test_standard_error_is_no_place_for_the_access_log(load_text: Load, sound: str) -> None:
    with pytest.raises(ConfigError, match=r'access_log\.to: must be "", "journald"'):
        load_text(f'{sound}\n[access_log]\nto = "stderr"')


def test_path_and_to_are_one_too_many(load_text: Load, sound: str) -> None:
    with pytest.raises(ConfigError, match=r"access_log\.path: has no meaning beside access_log\.to"):
        load_text(f'{sound}\n[access_log]\npath = "-"\nto = "journald"')
