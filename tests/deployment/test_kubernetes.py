"""config/kubernetes/sidecar.yaml: it fits lbproxy, and its own parts fit each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from lbproxy.cli import main
from lbproxy.config import Config, load
from lbproxy.control.admin.routes import health_routes
from tests.control.sample import snapshot

MANIFEST = Path(__file__).parents[2] / "config" / "kubernetes" / "sidecar.yaml"
DOCKERFILE = Path(__file__).parents[2] / "Dockerfile"

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def manifests() -> dict[str, Manifest]:
    """By their kind."""
    return {document["kind"]: document for document in yaml.safe_load_all(MANIFEST.read_text())}


@pytest.fixture
def pod(manifests: dict[str, Manifest]) -> Manifest:
    spec: Manifest = manifests["Pod"]["spec"]
    return spec


@pytest.fixture
def container(pod: Manifest) -> Manifest:
    [found] = [each for each in pod["containers"] if each["name"] == "lbproxy"]
    assert isinstance(found, dict)
    return found


@pytest.fixture
def file(manifests: dict[str, Manifest], tmp_path: Path) -> Path:
    """The configuration, where its admin socket can be made."""
    path = tmp_path / "lbproxy.toml"
    path.write_text(manifests["ConfigMap"]["data"]["lbproxy.toml"].replace("/run/lbproxy", str(tmp_path)))
    return path


@pytest.fixture
def config(file: Path) -> Config:
    return load(file, {})


def test_the_configuration_is_fit_to_run(file: Path) -> None:
    result = CliRunner().invoke(main, ["check", "-c", str(file)], catch_exceptions=False)
    assert result.exit_code == 0
    assert [line for line in result.stderr.splitlines() if "only root can read" not in line] == []


def test_the_ports_are_those_that_lbproxy_has(container: Manifest, config: Config) -> None:
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert config.admin.health is not None
    assert ports == {"http": config.listeners["login"].bind.port, "health": config.admin.health.port}
    assert config.admin.health.host == config.listeners["login"].bind.host == "0.0.0.0"


def test_probes_ask_for_what_is_there(container: Manifest) -> None:
    paths = {route.path for route in health_routes(snapshot)}
    asked = {kind: container[kind]["httpGet"] for kind in ("readinessProbe", "livenessProbe")}
    assert {each["port"] for each in asked.values()} == {"health"}
    assert {each["path"] for each in asked.values()} == paths
    assert asked["livenessProbe"]["path"] == "/healthz", "an instance is not restarted because its backends are down"


def test_there_is_time_to_drain(pod: Manifest, container: Manifest, config: Config) -> None:
    waits = {each["name"]: int(each["lifecycle"]["preStop"]["exec"]["command"][1]) for each in pod["containers"]}
    drained = waits["lbproxy"] + config.drain_timeout
    assert drained < pod["terminationGracePeriodSeconds"]
    assert waits["connector"] >= drained


def test_it_runs_as_the_images_user(pod: Manifest, container: Manifest, config: Config) -> None:
    context = pod["securityContext"]
    assert f"USER {context['runAsUser']}:{context['runAsGroup']}" in DOCKERFILE.read_text()
    assert config.user is None, "nobody but root could become somebody else"
    assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]


def test_only_the_sockets_directory_is_written(pod: Manifest, container: Manifest) -> None:
    assert container["securityContext"]["readOnlyRootFilesystem"]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {"/etc/lbproxy": "config", "/run/lbproxy": "run"}
    assert {volume["name"] for volume in pod["volumes"]} == set(mounts.values())


def test_the_service_finds_the_pod(manifests: dict[str, Manifest]) -> None:
    service = manifests["Service"]["spec"]
    assert service["selector"].items() <= manifests["Pod"]["metadata"]["labels"].items()
    assert service["ports"][0]["targetPort"] == "http"
