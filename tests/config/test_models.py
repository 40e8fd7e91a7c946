from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lbproxy.config import Address, Backend, Config, load
from lbproxy.config.models import AccessLog, Admin, Check, KerberosCheck, Listener, ListenerTls, Pool, PoolTls, Table

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "config" / "lbproxy.toml"
DOCS = ROOT / "docs" / "configuration.md"
EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.toml"))

SECTIONS: dict[str, type[Table]] = {
    "": Config,
    "listener.NAME": Listener,
    "listener.NAME.tls": ListenerTls,
    "pool.NAME": Pool,
    "backends": Backend,
    "pool.NAME.tls": PoolTls,
    "pool.NAME.check": Check,
    "pool.NAME.check.kerberos": KerberosCheck,
    "access_log": AccessLog,
    "admin": Admin,
}
"""Heading in the docs, or table in lbproxy.toml -> its model."""

HEADINGS = {"The top of the file": "", "backends": "backends"}


def keys(model: type[Table]) -> set[str]:
    """The keys of a model that are written in its own section: not those that are tables with a section."""
    tables = {"listeners", "pools", "tls", "check", "kerberos", "access_log", "admin"}
    return set(model.model_fields) - tables


def reference_options() -> dict[str, dict[str, str]]:
    """section -> key -> "required", "none" or the commented-out default, as config/lbproxy.toml has it."""
    section = ""
    options: dict[str, dict[str, str]] = {name: {} for name in SECTIONS}
    example = "none"  # a key of an example table has no default either, but the table needs it
    for line in REFERENCE.read_text().splitlines():
        if header := re.fullmatch(r"(#: |)\[(.*)\]", line):
            section = re.sub(r"^(listener|pool)\.\w+", r"\1.NAME", header[2])
            example = "required" if header[1] else "none"
        elif entry := re.search(r"\{ (name = .*) \}", line):
            for key in re.findall(r"(\w+) = ", entry[1]):
                options["backends"].setdefault(key, "none" if line.startswith("#") else "required")
        elif option := re.fullmatch(r"(#: |#|)(\w+) = (.*)", line):
            mark, key, value = option.groups()
            options[section][key] = {"": "required", "#: ": example}.get(mark, value)
    return options


def documented_options() -> dict[str, dict[str, str]]:
    """The same, as the tables of docs/configuration.md have it."""
    section = None
    options: dict[str, dict[str, str]] = {name: {} for name in SECTIONS}
    for line in DOCS.read_text().splitlines():
        if line.startswith("## "):
            title = line.removeprefix("## ").strip("[]")
            section = HEADINGS.get(title, title)
        elif (row := re.match(r"\| `(\w+)` \| (.+?) \| ", line)) and section in options:
            options[section][row[1]] = row[2].strip("`")
    return options


@pytest.mark.parametrize("section", SECTIONS)
def test_the_reference_file_has_every_key(section: str) -> None:
    assert set(reference_options()[section]) == keys(SECTIONS[section])


@pytest.mark.parametrize("section", SECTIONS)
def test_the_docs_have_every_key_with_the_default_of_the_reference_file(section: str) -> None:
    documented = {key: value for key, value in documented_options()[section].items() if key != "hosts"}
    reference = {key: value for key, value in reference_options()[section].items() if key != "hosts"}
    assert documented == reference
    assert ("hosts" in documented_options()[section]) is (section == "listener.NAME")


def test_the_defaults_in_the_reference_file_are_those_of_the_models(tmp_path: Path) -> None:
    plain, spelled_out = tmp_path / "plain.toml", tmp_path / "spelled_out.toml"
    plain.write_text(REFERENCE.read_text())
    spelled_out.write_text(re.sub(r"(?m)^#(?=\w+ = )", "", REFERENCE.read_text()))
    assert spelled_out.read_text() != plain.read_text()
    assert load(spelled_out, {}) == load(plain, {})


def test_the_examples_of_the_reference_file_are_sound(tmp_path: Path) -> None:
    path = tmp_path / "lbproxy.toml"
    text = re.sub(r"(?m)^#: ", "", REFERENCE.read_text()).replace('#kind = "http"', 'kind = "kerberos"')
    path.write_text(text)
    pool = load(path, {}).pools["connectors"]
    assert [pool.probe_url(backend) for backend in pool.backends] == [
        "http://10.0.0.11:8080/healthz",
        "http://10.0.0.12:8080/healthz",
        "http://10.0.0.13:8080/healthz",
    ]
    assert pool.tls.ca == tmp_path / "certs" / "connectors-ca.pem"
    assert pool.check.kerberos is not None
    assert pool.check.kerberos.keytab == tmp_path / "probe.keytab"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_load(path: Path) -> None:
    environ = {"SERVER_URL": "https://a.example", "CONNECTOR_1": "http://c1:4000", "CONNECTOR_2": "http://c2:4000"}
    assert load(path, environ).pools


def test_the_examples_are_those_the_docs_promise() -> None:
    assert [path.stem for path in EXAMPLES] == ["apono", "auth0", "minimal", "sidecar"]


@pytest.fixture
def listener(load_text: Callable[[str], Config], sound: str) -> Callable[[str], Listener]:
    return lambda line: load_text(sound.replace("[listener.login]", f"[listener.login]\n{line}")).listeners["login"]


@pytest.fixture
def pool(load_text: Callable[[str], Config], sound: str) -> Callable[[str], Pool]:
    return lambda lines: load_text(f"{sound}\n{lines}").pools["connectors"]


def test_values_arrive_in_seconds_bytes_and_networks(listener: Callable[[str], Listener]) -> None:
    found = listener('idle_timeout = "1m"\nmax_header_size = "64KB"\nallow = ["10.0.0.0/8", "::1"]')
    assert (found.idle_timeout, found.max_header_size) == (60.0, 64_000)
    assert found.allow == (ip_network("10.0.0.0/8"), ip_network("::1/128"))


def test_by_default_nobody_is_trusted_and_everybody_allowed(listener: Callable[[str], Listener]) -> None:
    found = listener("")
    assert found.trust_forwarded_from == found.accept_proxy_protocol_from == ()
    assert found.allow == (ip_network("0.0.0.0/0"), ip_network("::/0"))
    assert found.bind == Address("127.0.0.1", 8080)


def test_stripped_headers_are_in_lower_case(listener: Callable[[str], Listener]) -> None:
    assert listener('strip_headers = ["X-Remote-User"]').strip_headers == ("x-remote-user",)


def test_the_whole_configuration_is_frozen(load_text: Callable[[str], Config], sound: str) -> None:
    config = load_text(sound)
    with pytest.raises(ValidationError, match="frozen"):
        config.pools["connectors"].backends[0].name = "c2"


@pytest.mark.parametrize(
    ("expect", "statuses"),
    [("[200]", {200}), ('["200-203", 401]', {200, 201, 202, 203, 401}), ('["599-599"]', {599})],
)
def test_expected_statuses(expect: str, statuses: set[int], pool: Callable[[str], Pool]) -> None:
    assert pool(f"check.expect = {expect}").check.expect == statuses


@pytest.mark.parametrize(
    ("lines", "url"),
    [
        ("", "http://10.0.0.11:4000/"),
        ('check.path = "/health?deep=1"', "http://10.0.0.11:4000/health?deep=1"),
        ('check.url = "http://{host}:8080/healthz"', "http://10.0.0.11:8080/healthz"),
        ('check.url = "https://monitor.example/c1"', "https://monitor.example/c1"),
    ],
)
def test_what_a_probe_asks_for(lines: str, url: str, pool: Callable[[str], Pool]) -> None:
    found = pool(lines)
    assert found.probe_url(found.backends[0]) == url


def test_what_a_probe_asks_for_where_a_backend_has_its_own() -> None:
    backend = Backend(name="c1", url="http://[2001:db8::1]:4000", check_url="https://{host}:1/x")
    found = Pool(backends=(backend,), check=Check(url="http://{host}:8080/healthz"))
    assert found.probe_url(backend) == "https://[2001:db8::1]:1/x"


NO_TOKEN = "is not an HTTP token (RFC 9110 section 5.6.2)"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('deny_paths = ["x"]', "listener.login.deny_paths[0]: 'x' is not a path that begins with /"),
        ('deny_paths = ["/x?y"]', "listener.login.deny_paths[0]: '/x?y' must be a path without a query"),
        ('strip_headers = ["a b"]', f"listener.login.strip_headers[0]: 'a b' {NO_TOKEN}"),
        (
            'strip_headers = ["Host"]',
            "listener.login.strip_headers[0]: 'Host' cannot be stripped: the request would change its meaning",
        ),
        (
            'hosts = ["login.corp.example:443"]',
            "listener.login.hosts[0]: 'login.corp.example:443' is not a host: "
            "a name, an IPv4 address or a [v6] one, without a port",
        ),
        ('max_target_size = "255B"', "listener.login.max_target_size: must be between 256B and 1MiB"),
        ('tls = { certificate = "", key = 1 }', "listener.login.tls.certificate: must be the path of a file"),
        ('tls = { certificate = "", key = 1 }', "listener.login.tls.key: must be the path of a file"),
        (
            'tls = { certificate = "a", key = "b", minimum_version = "1.1" }',
            "listener.login.tls.minimum_version: must be '1.2' or '1.3'",
        ),
    ],
)
def test_impossible_listeners(line: str, problem: str, problems_of: Callable[[str], list[str]], sound: str) -> None:
    assert problem in problems_of(sound.replace("[listener.login]", f"[listener.login]\n{line}"))


URL = "pool.connectors.check.url: "
EXPECT = "pool.connectors.check.expect: "
NO_URL = "is not a URL that begins with http:// or https:// and names a host"
NO_STATUS = 'is not a status such as 401 or a range such as "200-299"'
PLACEHOLDER = "may hold {host} in place of the host, and no other braces"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('check.url = "/healthz"', f"{URL}'/healthz' {NO_URL}"),
        ('check.url = "http://a/{host}"', f"{URL}'http://a/{{host}}' {PLACEHOLDER}"),
        ('check.url = "http://{name}/"', f"{URL}'http://{{name}}/' {PLACEHOLDER}"),
        ('check.url = "http://a/#b"', f"{URL}'http://a/#b' must not hold a fragment (#)"),
        ('check.method = "GET /"', f"pool.connectors.check.method: 'GET /' {NO_TOKEN}"),
        ('check.path = "healthz"', "pool.connectors.check.path: 'healthz' is not a path that begins with /"),
        ("check.expect = []", 'pool.connectors.check.expect: must be a list of statuses such as [200, "300-399"]'),
        ('check.expect = ["299-200"]', f"{EXPECT}'299-200' {NO_STATUS}"),
        ("check.expect = [99]", f"{EXPECT}99 {NO_STATUS}"),
        ('check.timeout = "0s"', "pool.connectors.check.timeout: must be more than 0"),
        ('idle_lane_timeout = "0ms"', "pool.connectors.idle_lane_timeout: must be more than 0"),
        ('when_all_down = "cry"', "pool.connectors.when_all_down: must be 'try' or 'refuse'"),
    ],
)
def test_impossible_pools(line: str, problem: str, problems_of: Callable[[str], list[str]], sound: str) -> None:
    assert problems_of(f"{sound}{line}") == [problem]


KERBEROS = "pool.connectors.check.kerberos"
NO_PRINCIPAL = "is not a principal with its realm, such as HTTP/probe.corp.example@CORP.EXAMPLE"
NO_SPN = "is not a service and its host, such as HTTP@login.corp.example"


def kerberos(principal: str = "probe@CORP.EXAMPLE", spn: str = "HTTP@login.corp.example") -> str:
    return f"""
[pool.connectors.check]
kind = "kerberos"
kerberos = {{ principal = "{principal}", keytab = "probe.keytab", spn = "{spn}" }}
"""


def test_a_kerberos_check(load_text: Callable[[str], Config], sound: str, tmp_path: Path) -> None:
    check = load_text(sound + kerberos(spn="HTTP@Login.Corp.Example")).pools["connectors"].check
    assert check.kerberos == KerberosCheck.model_construct(
        principal="probe@CORP.EXAMPLE", keytab=tmp_path / "probe.keytab", spn="HTTP@login.corp.example"
    )


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (
            kerberos(principal="HTTP/probe.corp.example"),
            f"{KERBEROS}.principal: 'HTTP/probe.corp.example' {NO_PRINCIPAL}",
        ),
        (kerberos(principal="a@b@C"), f"{KERBEROS}.principal: 'a@b@C' {NO_PRINCIPAL}"),
        (kerberos(spn="HTTP/login.corp.example"), f"{KERBEROS}.spn: 'HTTP/login.corp.example' {NO_SPN}"),
        (kerberos(spn="@login.corp.example"), f"{KERBEROS}.spn: '@login.corp.example' {NO_SPN}"),
        (
            kerberos(spn="HTTP@login.corp.example:443"),
            f"{KERBEROS}.spn: 'login.corp.example:443' is not a host: "
            "a name, an IPv4 address or a [v6] one, without a port",
        ),
        (kerberos().replace('keytab = "probe.keytab", ', ""), f"{KERBEROS}.keytab: missing"),
    ],
)
def test_impossible_kerberos_checks(
    table: str, problem: str, problems_of: Callable[[str], list[str]], sound: str
) -> None:
    assert problems_of(sound + table) == [problem]


def test_a_pool_without_backends(problems_of: Callable[[str], list[str]], sound: str) -> None:
    assert problems_of(re.sub("backends = .*", "backends = []", sound)) == [
        "pool.connectors.backends: needs at least one entry"
    ]


@pytest.mark.parametrize("value", ["0", "true", '"all"', "1.0"])
def test_impossible_workers(value: str, problems_of: Callable[[str], list[str]], sound: str) -> None:
    assert problems_of(f"workers = {value}\n{sound}") == ['workers: must be "auto" or a whole number of at least 1']


def test_the_admin_api_is_for_this_machine(problems_of: Callable[[str], list[str]], sound: str) -> None:
    assert problems_of(f'{sound}\n[admin]\nbind = "0.0.0.0:9000"') == [
        "admin.bind: 0.0.0.0:9000 is not a Unix socket or a loopback address; the admin API has no other protection"
    ]


@pytest.mark.parametrize(("path", "expected"), [("-", "-"), ("", ""), ("/var/log/a", Path("/var/log/a"))])
def test_access_log_path(path: str, expected: Any, load_text: Callable[[str], Config], sound: str) -> None:
    assert load_text(f'{sound}\n[access_log]\npath = "{path}"').access_log.path == expected
