"""config/kubernetes/register.yaml: it fits `lbproxy register`, and its own parts fit each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lbproxy.cli.register import command
from lbproxy.config import fleet

MANIFEST = Path(__file__).parents[2] / "config" / "kubernetes" / "register.yaml"

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def manifests() -> dict[str, Manifest]:
    """By their kind."""
    return {document["kind"]: document for document in yaml.safe_load_all(MANIFEST.read_text())}


@pytest.fixture
def containers(manifests: dict[str, Manifest]) -> dict[str, Manifest]:
    """By their name."""
    return {each["name"]: each for each in manifests["Pod"]["spec"]["containers"]}


@pytest.fixture
def options(containers: dict[str, Manifest]) -> dict[str, Any]:
    """What the command makes of its arguments, filled in as by the kubelet."""
    [name, *arguments] = containers["register"]["args"]
    filled = [one.replace("$(POD_NAME)", "connector-1").replace("$(POD_IP)", "10.244.0.7") for one in arguments]
    with command.make_context(name, filled) as context:
        return context.params


def test_the_command_is_understood(options: dict[str, Any], containers: dict[str, Manifest]) -> None:
    assert (options["name"], options["url"]) == ("connector-1", "http://10.244.0.7:4000")
    assert {each["name"] for each in containers["register"]["env"]} == {"POD_NAME", "POD_IP"}


def test_the_configuration_is_sound_and_names_files_that_are_mounted(
    manifests: dict[str, Manifest], containers: dict[str, Manifest], options: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / options["path"].name
    path.write_text(manifests["ConfigMap"]["data"][path.name])
    found = fleet(path, {})
    mounts = {mount["mountPath"] for mount in containers["register"]["volumeMounts"]}
    named = [options["path"], *(each for each in (found.ca, found.certificate, found.key) if each)]
    assert {str(each.parent) for each in named} == mounts


def test_the_connector_serves_until_it_is_drained(
    manifests: dict[str, Manifest], containers: dict[str, Manifest], options: dict[str, Any]
) -> None:
    stays = int(containers["connector"]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert options["drain_timeout"] < stays < manifests["Pod"]["spec"]["terminationGracePeriodSeconds"]
