import re
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.failure.peers import PROXIES, SETTINGS, Place, Setting, filled
from lbproxy.config import load

PLACE = Place(("127.0.0.11", "127.0.0.12", "198.18.1.2"), 4000, 4001)
EVERY = [setting for proxy in PROXIES for setting in SETTINGS[proxy]]


@pytest.mark.parametrize("setting", EVERY, ids=lambda setting: setting.name)
def test_a_file_names_every_connector_and_has_no_place_left_open(setting: Setting, tmp_path: Path) -> None:
    command = setting.command(tmp_path, 8080, PLACE)
    written = tmp_path / setting.file.name
    assert str(written) in command
    text = written.read_text()
    assert not re.findall("@[A-Z0-9_]+@", text)
    assert all(host in text for host in PLACE.hosts)
    assert "8080" in text
    assert "4000" in text


@pytest.mark.parametrize("proxy", PROXIES)
def test_each_proxy_has_two_files(proxy: str) -> None:
    assert [setting.best for setting in SETTINGS[proxy]] == [False, True]
    assert len({setting.file for setting in SETTINGS[proxy]}) == 2


def test_a_name_without_a_value_is_an_error() -> None:
    assert filled("a @B@ @", {"B": "1"}) == "a 1 @"
    with pytest.raises(BenchError, match="@C@"):
        filled("@C@", {"B": "1"})


@pytest.mark.parametrize("setting", SETTINGS["lbproxy"], ids=lambda setting: setting.name)
def test_lbproxy_accepts_its_files(setting: Setting, tmp_path: Path) -> None:
    setting.command(tmp_path, 8080, PLACE)
    config = load(tmp_path / setting.file.name, {})
    assert [backend.name for backend in config.pools["connectors"].backends] == ["c1", "c2", "c3"]
