"""Apono's connector: its ID in three spellings, and its version."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.errors import InstanceError
from lbproxy.instance.kinds import load
from lbproxy.instance.kinds.apono import Apono
from lbproxy.instance.model import Area, File, Instance, Where

KIND = Apono()


def values(directory: Path, text: str) -> Instance:
    (directory / "values.yaml").write_text(text)
    return load("apono", Where(directory))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".env", "APONO_CONNECTOR_ID=con-1\nAPONO_TOKEN=t"),
        ("values.yaml", "apono:\n  connectorId: con-1\n  token: t\n"),
        ("values.yaml", 'connectorId: "con-1"\ntoken: t\n'),
        ("values.yaml", '{"connectorId": "con-1", "token": "t"}'),
    ],
)
def test_one_id_in_three_spellings(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    found = load("apono", Where(tmp_path, version="1.8.0"))
    assert found.problems == []
    told = {aspect: [value.text for value in parts.values()] for aspect, parts in found.values.items()}
    assert told == {"connector_id": ["con-1"], "version": ["1.8.0"], "token": ["t"], "settings": []}
    assert found.material == b"t"


def test_the_version_is_the_tag_of_the_image(tmp_path: Path) -> None:
    found = values(tmp_path, "connectorId: a\nimage:\n  tag: 1.8.0\nresources: {limits: {cpu: 2}}\n")
    assert found.values["version"]["version"].text == "1.8.0"
    assert found.values["settings"].keys() == {"resources.limits.cpu"}


def test_ids_that_are_different_or_missing(tmp_path: Path) -> None:
    assert "are different" in values(tmp_path, "connectorId: a\napono: {connectorId: b}\n").problems[0]
    found = values(tmp_path, "replicas: 2\n")
    assert "are all missing" in found.problems[0]
    assert "add --connector-version VERSION" in found.problems[1]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "the values, line 1: are not YAML"),
        ('a: "\\ud800"', "are not YAML"),
        (" " * 2_000_000, "are larger than 1 MiB"),
        ("- a", "the values: are not a table"),
        ("a: &x [1]\nb: [*x, *x]\n", "have aliases"),
        ("!!python/object/apply:os.system ['true']", "are not YAML"),
    ],
    ids=["cut", "half a character", "huge", "a list", "aliases", "a program"],
)
def test_values_that_cannot_be_read(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(InstanceError, match=problem):
        values(tmp_path, text)


def test_nothing_is_there(tmp_path: Path) -> None:
    with pytest.raises(InstanceError, match=r"has neither \.env nor values\.yaml"):
        load("apono", Where(tmp_path))
    with pytest.raises(InstanceError, match="missing"):
        load("apono", Where(tmp_path, values=tmp_path / "missing"))
    assert load("apono", Where(tmp_path, values=tmp_path / "missing"), new=True).files == []


def test_where_files_go(tmp_path: Path) -> None:
    file = File(Area.VALUES, "", b"", 0o600, True)
    assert KIND.place(file, Where(tmp_path), []) == tmp_path / "values.yaml"
    assert KIND.place(file, Where(tmp_path, values=tmp_path / "v"), []) == tmp_path / "v"
    with pytest.raises(InstanceError, match="is no file of a connector"):
        KIND.place(File(Area.INSTANCE, "x", b"", 0o600, True), Where(tmp_path), [])
