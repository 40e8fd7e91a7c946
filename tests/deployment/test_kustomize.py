"""config/kubernetes as a kustomize base, built by kubectl: it fits Kubernetes, lbproxy, the image, and itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from lbproxy.cli import main
from lbproxy.config import Config, load
from lbproxy.control.admin.routes import health_routes
from lbproxy.control.discovery.kubernetes_source import KubernetesSource
from lbproxy.control.kubernetes import PodAccount
from tests.control.kubernetes.api_server import ApiServer, endpoint, endpoint_slice
from tests.control.sample import snapshot
from tests.pki import DAY, Authority

BASE = Path(__file__).parents[2] / "config" / "kubernetes"
DOCKERFILE = Path(__file__).parents[2] / "Dockerfile"
MANUAL = Path(__file__).parents[2] / "docs" / "kubernetes.md"
FENCE = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
ON_THEIR_OWN = {"sidecar.yaml", "register.yaml", "components/kerberos/lbproxy.toml", "components/fleet/lbproxy.toml"}
"""Examples that are not part of the base."""

OLDEST, NEWEST = "1.27", "1.37"
"""Of Kubernetes: docs/kubernetes.md has the first, the schemas of kubernetes-validate end with the other."""

BEHIND = 5
"""Seconds that all nodes and load balancers may need to hear that a pod ends."""

KEYTAB = bytes.fromhex(  # MIT's format 5.2, with one AES-256 key of svc-probe@CORP.EXAMPLE
    "0502" "00000048" "0001" "000c434f52502e4558414d504c45" "00097376632d70726f6265"
    "00000001" "00000000" "01" "0012" "0020" + "00" * 32
)  # fmt: skip

Manifest = dict[str, Any]


class Built:
    """What kubectl would apply: an object by its kind and name."""

    def __init__(self, objects: list[Manifest]) -> None:
        self.objects = {(one["kind"], one["metadata"]["name"]): one for one in objects}
        assert len(self.objects) == len(objects)

    def one(self, kind: str, name: str) -> Manifest:
        return self.objects[kind, name]

    def spec(self, kind: str, name: str) -> Manifest:
        found: Manifest = self.objects[kind, name]["spec"]
        return found

    def pod(self, name: str) -> Manifest:
        """The pod of the Deployment `name`."""
        found: Manifest = self.spec("Deployment", name)["template"]["spec"]
        return found

    def container(self, name: str) -> Manifest:
        [found] = self.pod(name)["containers"]
        assert isinstance(found, dict)
        return found

    def configuration(self) -> str:
        """lbproxy.toml, which is mounted where the image looks for it."""
        [found] = [one for (kind, name), one in self.objects.items() if kind == "ConfigMap" and "lbproxy-" in name]
        mounted = {volume["name"]: volume for volume in self.pod("lbproxy")["volumes"]}
        assert mounted["config"]["configMap"]["name"] == found["metadata"]["name"]
        text: str = found["data"]["lbproxy.toml"]
        return text


def build(folder: Path) -> Built:
    kubectl = Path(sys.executable).with_name("kubectl")
    told = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert told.stderr == "", "warnings"
    return Built(list(yaml.safe_load_all(told.stdout)))


@pytest.fixture(scope="module")
def base() -> Built:
    return build(BASE)


def overlay(folder: Path, *components: str, **changes: Any) -> Built:
    """As an administrator has it: the base, components, the last one's configuration, and something of one's own."""
    there = os.path.relpath(BASE, folder)
    (folder / "lbproxy.toml").write_bytes((BASE / "components" / components[-1] / "lbproxy.toml").read_bytes())
    own = {"name": "lbproxy", "namespace": "login", "behavior": "merge", "files": ["lbproxy.toml"]}
    told = {
        "resources": [there],
        "components": [f"{there}/components/{name}" for name in components],
        "configMapGenerator": [own],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(told | changes))
    return build(folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """With everything but a fleet."""
    return overlay(tmp_path_factory.mktemp("overlay"), "metrics", "kerberos")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return overlay(tmp_path_factory.mktemp("fleet"), "metrics", "kerberos", "fleet")


@pytest.fixture(params=["base", "whole", "fleet"])
def built(request: pytest.FixtureRequest) -> Built:
    found: Built = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def config(built: Built, tmp_path: Path) -> Config:
    return load(write(built, tmp_path), {})


def write(built: Built, folder: Path) -> Path:
    """The configuration in `folder`, with all that the pod has mounted there."""
    path = folder / "lbproxy.toml"
    text = built.configuration()
    for mount in built.container("lbproxy")["volumeMounts"]:
        at = folder / Path(mount["mountPath"]).name
        at.mkdir(exist_ok=True)
        text = text.replace(f"{mount['mountPath']}/", f"{at}/").replace(f"unix:{mount['mountPath']}", f"unix:{at}")
    path.write_text(text)
    return path


def test_every_file_is_used() -> None:
    used = {BASE / name for name in ON_THEIR_OWN}
    for kustomization in BASE.rglob("kustomization.yaml"):
        told = yaml.safe_load(kustomization.read_text())
        files = [*told["resources"], *(one["path"] for one in told.get("patches", ()))]
        files += [file for one in told.get("configMapGenerator", ()) for file in one["files"]]
        used |= {kustomization, *(kustomization.parent / file for file in files)}
    assert used == {path for path in BASE.rglob("*") if path.is_file()}


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_knows_every_field(built: Built, version: str) -> None:
    for (kind, _), one in built.objects.items():
        if kind != "ServiceMonitor":  # Prometheus Operator's own
            kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize("name", ["sidecar.yaml", "register.yaml"])
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_knows_every_field_of_the_examples(name: str, version: str) -> None:
    for one in yaml.safe_load_all((BASE / name).read_text()):
        kubernetes_validate.validate(one, version, strict=True)


def namespaces(built: Built) -> set[str]:
    return {
        name if kind == "Namespace" else one["metadata"].get("namespace") for (kind, name), one in built.objects.items()
    }


def test_the_example_of_the_manual(tmp_path: Path) -> None:
    [told] = [text for text in FENCE.findall(MANUAL.read_text()) if "kind: Kustomization" in text]
    there = os.path.relpath(BASE, tmp_path)
    (tmp_path / "kustomization.yaml").write_text(told.replace("config/kubernetes", there))
    (tmp_path / "lbproxy.toml").write_text("# mine")
    own = build(tmp_path)
    assert own.configuration() == "# mine"
    assert namespaces(own) == {"login"}
    assert own.container("lbproxy")["image"] == "registry.example.net/lbproxy:0.1.0"
    assert own.container("connectors")["image"] == "registry.example.net/connector:1.8.0"


def test_everything_is_in_one_namespace(built: Built) -> None:
    assert namespaces(built) == {"login"}


def test_namespace_images_and_number_may_be_others(base: Built, tmp_path: Path) -> None:
    assert base.container("lbproxy")["image"].startswith("registry.corp.example/lbproxy:")
    own = overlay(
        tmp_path,
        "kerberos",
        namespace="sso",
        images=[{"name": "registry.corp.example/lbproxy", "newName": "mine/lbproxy", "newTag": "9"}],
        replicas=[{"name": "lbproxy", "count": 3}],
    )
    assert namespaces(own) == {"sso"}
    assert own.one("RoleBinding", "lbproxy")["subjects"][0]["namespace"] == "sso"
    assert own.container("lbproxy")["image"] == "mine/lbproxy:9"
    assert own.spec("Deployment", "lbproxy")["replicas"] == 3


def test_the_configuration_is_fit_to_run(built: Built, tmp_path: Path) -> None:
    path = write(built, tmp_path)
    files = Authority.root("corp").server("login.corp.example", ends=90 * DAY).write(tmp_path)
    for name, content in (("tls.crt", files.chain.read_bytes()), ("tls.key", files.key.read_bytes())):
        (tmp_path / "lbproxy-tls" / name).write_bytes(content)
    if "lbproxy-fleet" in path.read_text():
        mounted = (("tls.crt", files.chain), ("tls.key", files.key), ("ca.crt", files.chain), ("secret", files.key))
        for name, file in mounted:
            (tmp_path / "lbproxy-fleet" / name).write_bytes(file.read_bytes())
            (tmp_path / "lbproxy-fleet" / name).chmod(0o440)
    if "lbproxy-keytab" in path.read_text():
        (tmp_path / "lbproxy-keytab" / "probe.keytab").write_bytes(KEYTAB)
    result = CliRunner().invoke(main, ["check", "-c", str(path)], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    assert [line for line in result.stderr.splitlines() if "only root can read" not in line] == []


def test_the_configuration_with_kerberos_differs_in_its_check_only(base: Built, whole: Built) -> None:
    one, other = tomllib.loads(base.configuration()), tomllib.loads(whole.configuration())
    checks = [told["pool"]["connectors"].pop("check") for told in (one, other)]
    assert one == other
    assert [check.get("kind", "http") for check in checks] == ["http", "kerberos"]


def test_the_configuration_with_a_fleet_differs_in_that_only(base: Built, fleet: Built) -> None:
    one, other = tomllib.loads(base.configuration()), tomllib.loads(fleet.configuration())
    assert other.pop("fleet").keys() == {"name", "etcd", "ca", "certificate", "key", "secret_file"}
    assert one == other


def test_whatever_the_configuration_names_is_mounted(built: Built, config: Config, tmp_path: Path) -> None:
    mounts = {mount["mountPath"]: mount for mount in built.container("lbproxy")["volumeMounts"]}
    tls = config.listeners["login"].tls
    assert tls is not None
    kerberos = config.pools["connectors"].check.kerberos
    read = [tls.certificate, tls.key, *([] if kerberos is None else [kerberos.keytab])]
    if (shared := config.fleet) is not None:
        read += [one for one in (shared.ca, shared.certificate, shared.key, shared.secret_file) if one is not None]
    for path in read:
        [mount] = [mount for at, mount in mounts.items() if Path(at).name == path.relative_to(tmp_path).parts[0]]
        assert mount["readOnly"]
        volume = volumes(built)[mount["name"]]
        assert volume["secret"]["defaultMode"] == 0o440, "the group of the pod reads it, and nobody else"
    assert config.admin.bind.path == tmp_path / "lbproxy" / "admin.sock"
    assert "emptyDir" in volumes(built)[mounts["/run/lbproxy"]["name"]]
    assert mounts.keys() <= {
        "/etc/lbproxy",
        "/etc/lbproxy-tls",
        "/run/lbproxy",
        "/etc/lbproxy-krb5",
        "/etc/lbproxy-keytab",
        "/etc/lbproxy-fleet",
    }
    assert {volume["name"] for volume in built.pod("lbproxy")["volumes"]} == {one["name"] for one in mounts.values()}


def volumes(built: Built, name: str = "lbproxy") -> dict[str, Manifest]:
    return {volume["name"]: volume for volume in built.pod(name)["volumes"]}


def test_the_image_finds_what_is_mounted(built: Built) -> None:
    image = DOCKERFILE.read_text()
    container, pod = built.container("lbproxy"), built.pod("lbproxy")
    assert "command" not in container
    assert "args" not in container
    assert 'CMD ["run", "-c", "/etc/lbproxy/lbproxy.toml"]' in image
    user = pod["securityContext"]
    assert f"USER {user['runAsUser']}:{user['runAsGroup']}" in image
    assert user["fsGroup"] == user["runAsGroup"]
    assert "/run/lbproxy" in image
    assert "hashes.py run kerberos" in image
    assert "libgssapi-krb5-2" in image


def test_kerberos_in_a_pod_has_its_configuration_and_keys(whole: Built) -> None:
    environment = {one["name"]: one["value"] for one in whole.container("lbproxy")["env"]}
    folder, name = os.path.split(environment["KRB5_CONFIG"])
    mounts = {mount["mountPath"]: mount["name"] for mount in whole.container("lbproxy")["volumeMounts"]}
    krb5 = whole.one("ConfigMap", volumes(whole)[mounts[folder]]["configMap"]["name"])["data"][name]
    assert "default_realm = CORP.EXAMPLE" in krb5
    assert "rdns = false" in krb5
    [own] = [one for one in whole.container("connectors")["env"] if one["name"] == "KRB5_KTNAME"]
    mounts = {mount["mountPath"]: mount["name"] for mount in whole.container("connectors")["volumeMounts"]}
    assert "secret" in volumes(whole, "connectors")[mounts[str(Path(own["value"]).parent)]]


@pytest.mark.parametrize("name", ["lbproxy", "connectors"])
def test_pods_are_restricted(built: Built, name: str) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards, and a root file system that is read-only."""
    labels = built.one("Namespace", "login")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    pod, container = built.pod(name), built.container(name)
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    kinds = {"configMap", "secret", "emptyDir"}
    assert all(volume.keys() & kinds for volume in pod["volumes"])
    assert all(port["containerPort"] >= 1024 for port in container["ports"]), "no capability is needed to bind"
    assert "limits" in container["resources"]


def test_the_ports_are_those_that_lbproxy_has(built: Built, config: Config) -> None:
    ports = {port["name"]: port["containerPort"] for port in built.container("lbproxy")["ports"]}
    assert config.admin.health is not None
    assert config.admin.metrics is not None
    binds = {"https": config.listeners["login"].bind, "health": config.admin.health, "metrics": config.admin.metrics}
    assert ports == {name: bind.port for name, bind in binds.items()}
    assert {bind.host for bind in binds.values()} == {"0.0.0.0"}
    assert config.server_url == f"https://{config.server_host}", "the Service is at 443"
    [port] = built.spec("Service", "login")["ports"]
    assert (port["port"], port["targetPort"]) == (443, "https")


def test_probes_ask_for_what_is_there(built: Built) -> None:
    paths = {route.path for route in health_routes(snapshot)}
    asked = {kind: built.container("lbproxy")[kind]["httpGet"] for kind in ("readinessProbe", "livenessProbe")}
    assert {each["port"] for each in asked.values()} == {"health"}
    assert {each["path"] for each in asked.values()} == paths
    assert asked["livenessProbe"]["path"] == "/healthz", "an instance is not restarted because its backends are down"


def waits(built: Built, name: str) -> int:
    """Seconds between the word that a pod ends, and TERM."""
    command, seconds = built.container(name)["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    return int(seconds)


def test_there_is_time_to_hear_of_the_end_and_to_drain(built: Built, config: Config) -> None:
    assert waits(built, "lbproxy") >= BEHIND, "terminating, ready by its own account, and serving"
    assert config.leave_timeout is not None
    readiness = built.container("lbproxy")["readinessProbe"]
    assert readiness["periodSeconds"] * readiness["failureThreshold"] < config.leave_timeout, (
        "it falls before the drain"
    )
    ends = waits(built, "lbproxy") + config.leave_timeout + config.drain_timeout + BEHIND
    assert ends <= built.pod("lbproxy")["terminationGracePeriodSeconds"]
    assert waits(built, "connectors") >= config.drain_timeout + BEHIND, "it serves until it is drained"
    assert waits(built, "connectors") < built.pod("connectors")["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("name", ["lbproxy", "connectors"])
def test_no_node_has_all_of_them_and_none_is_replaced_before_another_is_ready(built: Built, name: str) -> None:
    deployment = built.spec("Deployment", name)
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == labels
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    spread = built.pod(name)["topologySpreadConstraints"]
    assert spread[0]["topologyKey"] == "kubernetes.io/hostname"
    assert all(one["labelSelector"]["matchLabels"] == labels for one in spread)
    budget = built.spec("PodDisruptionBudget", name)
    assert budget["selector"]["matchLabels"] == labels
    stay = budget.get("minAvailable") or deployment["replicas"] - budget["maxUnavailable"]
    assert 1 <= stay < deployment["replicas"]


def test_services_find_their_pods(built: Built) -> None:
    for service, deployment in (("login", "lbproxy"), ("connectors", "connectors"), ("lbproxy-metrics", "lbproxy")):
        if ("Service", service) in built.objects:
            spec = built.spec("Service", service)
            labels = built.spec("Deployment", deployment)["template"]["metadata"]["labels"]
            assert spec["selector"].items() <= labels.items()
            names = {port["name"] for port in built.container(deployment)["ports"]}
            assert {port["targetPort"] for port in spec["ports"]} <= names


async def test_discovery_finds_the_connectors_with_the_rights_that_it_has(
    built: Built, config: Config, tmp_path: Path
) -> None:
    """Against an API server that grants what the Role does, and nothing more."""
    pod = built.pod("lbproxy")
    account = built.one("ServiceAccount", pod["serviceAccountName"])["metadata"]
    binding = built.one("RoleBinding", "lbproxy")
    [subject] = binding["subjects"]
    assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])
    assert pod["automountServiceAccountToken"]
    assert not built.pod("connectors")["automountServiceAccountToken"], "nobody else has such an account"
    role = built.one("Role", binding["roleRef"]["name"])
    [rule] = role["rules"]
    assert rule == {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]}
    discover = config.pools["connectors"].discover
    assert discover is not None
    assert discover.service is not None
    service = built.one("Service", discover.service)
    [port] = service["spec"]["ports"]
    [target] = built.container("connectors")["ports"]
    async with ApiServer(tmp_path, role["metadata"]["namespace"]) as server:
        server.verbs = set(rule["verbs"])
        # As the controller makes it of the Service: the name of its port, and the number of the target.
        made = {"service": discover.service, "port_name": port["name"], "port": target["containerPort"]}
        server.put(endpoint_slice("connectors-1", endpoint("connectors-a", "10.0.0.1"), **made))
        source = KubernetesSource(
            PodAccount(tmp_path, server.mount(tmp_path)), discover.service, discover.scheme, discover.port
        )
        await source.start()
        answer = await source.look()
        await source.stop()
    assert [member.url for member in answer.members] == ["http://10.0.0.1:4000"]


def test_nobody_goes_around_lbproxy(built: Built) -> None:
    policy = built.spec("NetworkPolicy", "connectors")
    lbproxy = built.spec("Deployment", "lbproxy")["template"]["metadata"]["labels"]
    connector = built.spec("Deployment", "connectors")["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"] == connector
    assert policy["policyTypes"] == ["Ingress"]
    assert policy["ingress"] == [
        {"from": [{"podSelector": {"matchLabels": lbproxy}}], "ports": [{"protocol": "TCP", "port": "http"}]}
    ]


def test_lbproxy_reaches_what_it_needs_and_is_reached_where_it_serves(built: Built, config: Config) -> None:
    policies = [
        one["spec"]
        for (kind, name), one in built.objects.items()
        if kind == "NetworkPolicy" and name.startswith("lbproxy")
    ]
    lbproxy = built.spec("Deployment", "lbproxy")["template"]["metadata"]["labels"]
    assert all(policy["podSelector"]["matchLabels"] == lbproxy for policy in policies)
    rules = [rule for policy in policies for rule in policy.get("egress", ())]
    out = {(port["protocol"], port["port"]) for rule in rules for port in rule["ports"]}
    needed = {("TCP", 4000), ("TCP", 443), ("TCP", 6443), ("TCP", 53), ("UDP", 53)}
    if any("KRB5_CONFIG" in one.values() for one in built.container("lbproxy").get("env", ())):
        needed |= {("TCP", 88), ("UDP", 88)}
    if config.fleet is not None:
        needed |= {("TCP", int(urlsplit(url).port or 0)) for url in config.fleet.etcd}
    assert out == needed
    pods = {port for rule in rules if "to" not in rule for port in (each["port"] for each in rule["ports"])}
    assert pods <= {443, 6443, 88, 2379}, "what may be outside of the cluster"
    open_to_all = [rule for policy in policies for rule in policy.get("ingress", ()) if "from" not in rule]
    assert open_to_all == [{"ports": [{"protocol": "TCP", "port": "https"}]}]


def test_prometheus_finds_and_reaches_the_metrics(whole: Built) -> None:
    monitor, service = whole.spec("ServiceMonitor", "lbproxy"), whole.one("Service", "lbproxy-metrics")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    [at] = monitor["endpoints"]
    [port] = service["spec"]["ports"]
    assert (at["port"], at["path"]) == (port["name"], "/metrics")
    [rule] = whole.spec("NetworkPolicy", "lbproxy-metrics")["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": port["targetPort"]}]
    assert rule["from"], "not everybody"


def test_pods_are_annotated_with_the_metrics_for_a_prometheus_without_the_operator(whole: Built) -> None:
    template = whole.spec("Deployment", "lbproxy")["template"]
    ports = [one["containerPort"] for one in template["spec"]["containers"][0]["ports"] if one["name"] == "metrics"]
    annotations = {name: value for name, value in template["metadata"]["annotations"].items() if "prometheus" in name}
    assert annotations == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(*ports),
        "prometheus.io/path": "/metrics",
    }
