from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from lbproxy.config import Config, PoolTls
from lbproxy.config.models import Base, Table


def test_the_whole_configuration_is_frozen(load_text: Callable[[str], Config], sound: str) -> None:
    config = load_text(sound)
    with pytest.raises(ValidationError, match="frozen"):
        config.pools["connectors"].backends[0].name = "c2"


def test_an_unknown_key_is_an_error() -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Table.model_validate({"colour": "red"})


def test_paths_begin_at_the_directory_of_the_context() -> None:
    tls = PoolTls.model_validate({"ca": "a/ca.pem", "key": "/b.key"}, context=Base(Path("/etc/lbproxy")))
    assert (tls.ca, tls.key) == (Path("/etc/lbproxy/a/ca.pem"), Path("/b.key"))
