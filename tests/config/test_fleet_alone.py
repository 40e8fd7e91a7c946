from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.config import fleet
from lbproxy.errors import ConfigError


def test_the_rest_of_the_file_is_not_judged(tmp_path: Path) -> None:
    path = tmp_path / "lbproxy.toml"
    path.write_text('workers = "none"\n[fleet]\nname = "eu"\netcd = ["https://e:2379"]\nca = "ca.pem"\n')
    found = fleet(path, {})
    assert (found.name, found.ca) == ("eu", tmp_path / "ca.pem")


def test_every_problem_at_once_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "lbproxy.toml"
    path.write_text('[fleet]\nnmae = "eu"\netcd = ["http://e:2379"]\nuser = "${USER_OF_ETCD}"\n')
    with pytest.raises(ConfigError) as caught:
        fleet(path, {})
    assert sorted(str(caught.value).replace(str(path), "FILE").splitlines()) == [
        "FILE:1: fleet.name: missing",
        "FILE:1: fleet.password: missing; user needs it",
        "FILE:2: fleet.nmae: unknown key; did you mean name?",
        "FILE:4: fleet.user: the environment variable USER_OF_ETCD is not set",
    ]


def test_a_file_without_a_fleet(tmp_path: Path) -> None:
    path = tmp_path / "lbproxy.toml"
    path.write_text("")
    with pytest.raises(ConfigError, match="fleet: missing"):
        fleet(path, {})
