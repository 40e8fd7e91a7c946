"""The whole file: its own keys, and that the reference file, the documentation and the examples have all of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from lbproxy.config import (
    AccessLog,
    Admin,
    AdminWeb,
    Backend,
    Check,
    Config,
    Consistency,
    Discover,
    Fact,
    Fleet,
    KerberosCheck,
    Listener,
    ListenerTls,
    Log,
    Mint,
    Pool,
    PoolTls,
    Tracing,
    load,
)
from lbproxy.config.models import Table

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "config" / "lbproxy.toml"
DOCS = ROOT / "docs" / "configuration.md"
EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.toml"))

SECTIONS: dict[str, type[Table]] = {
    "": Config,
    "listener.NAME": Listener,
    "listener.NAME.tls": ListenerTls,
    "listener.NAME.tls.mint": Mint,
    "pool.NAME": Pool,
    "backends": Backend,
    "pool.NAME.discover": Discover,
    "pool.NAME.tls": PoolTls,
    "pool.NAME.check": Check,
    "pool.NAME.check.kerberos": KerberosCheck,
    "pool.NAME.consistency": Consistency,
    "pool.NAME.consistency.facts": Fact,
    "log": Log,
    "access_log": AccessLog,
    "admin": Admin,
    "admin.web": AdminWeb,
    "fleet": Fleet,
    "tracing": Tracing,
}
"""Heading in the docs, or table in lbproxy.toml -> its model."""

HEADINGS = {"The top of the file": ""}

FACTS = "pool.NAME.consistency.facts"
"""The table in lbproxy.toml that has a table for each fact."""


def keys(model: type[Table]) -> set[str]:
    """The keys of a model that are written in its own section: not those that are tables with a section."""
    tables = {"listeners", "pools", "sni", "discover", "tls", "mint", "check", "kerberos", "consistency", "facts"}
    own = {
        name: field
        for name, field in model.model_fields.items()
        if name not in {*tables, "log", "access_log", "admin", "fleet", "tracing", "web"}
    }
    return {field.alias or name for name, field in own.items()}


def _default(model: type[BaseModel], key: str) -> str:
    """Of an optional key, as TOML writes it."""
    value = model.model_fields[key].default
    return "none" if value is None else json.dumps(value)


def _field(section: str, key: str) -> str:
    """The field of a key, which may have an alias."""
    fields = SECTIONS[section].model_fields
    return next(name for name, field in fields.items() if key in (name, field.alias))


def reference_options() -> dict[str, dict[str, str]]:
    """section -> key -> "required", "none" or the commented-out default, as config/lbproxy.toml has it."""
    section = ""
    options: dict[str, dict[str, str]] = {name: {} for name in SECTIONS}
    example = "none"  # a key of an example table has no default either, but the table needs it
    for line in REFERENCE.read_text().splitlines():
        if header := re.fullmatch(r"(#: |)\[(.*)\]", line):
            section = re.sub(r"^(listener|pool)\.\w+", r"\1.NAME", header[2])
            example = "required" if header[1] else "none"
        elif section == FACTS and line.startswith("#: "):
            options[FACTS] |= dict.fromkeys(re.findall(r"(\w+) = ", line.partition("{")[2]), "none")
        elif entry := re.search(r"\{ (name = .*) \}", line):
            for key in re.findall(r"(\w+) = ", entry[1]):
                if key not in options["backends"]:
                    options["backends"][key] = _default(Backend, key) if line.startswith("#") else "required"
        elif option := re.fullmatch(r"(#: #|#: |#|)(\w+) = (.*)", line):
            mark, key, value = option.groups()
            needed = example == "required" and SECTIONS[section].model_fields[_field(section, key)].is_required()
            options[section].setdefault(key, {"": "required", "#: ": "required" if needed else "none"}.get(mark, value))
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


def with_examples(**replacements: str) -> str:
    """The reference file with its examples, and these keys set to other values than their defaults."""
    text = re.sub(r"(?m)^#: ", "", REFERENCE.read_text())
    for key, value in replacements.items():
        text, count = re.subn(rf"(?m)^#{key} = .*", f'{key} = "{value}"', text, count=1)
        assert count == 1, key
    # The certificate is a fact of https backends only, and users are minted into nothing else.
    text = text.replace('#scheme = "http"', 'scheme = "https"').replace("http://connectors", "https://connectors")
    return text.replace("http://10", "https://10")


def test_the_examples_of_the_reference_file_are_sound(tmp_path: Path) -> None:
    path = tmp_path / "lbproxy.toml"
    text = with_examples(kind="kerberos", client_certificate="required", client_identity="mint")
    # Minting excludes lbproxy's own certificate.
    path.write_text(re.sub(r'(?m)^(certificate|key) = "certs/lbproxy.*', "", text))
    config = load(path, {})
    pool = config.pools["connectors"]
    assert [pool.probe_url(backend) for backend in pool.backends] == [
        "http://10.0.0.11:8080/healthz",
        "http://10.0.0.12:8080/healthz",
        "https://10.0.0.13:8080/healthz",
        "http://10.0.0.14:8080/healthz",
        "http://connectors.corp.example:8080/healthz",
    ]
    assert [(backend.weight, backend.standby) for backend in pool.backends[2:4]] == [(1, False), (2, True)]
    assert [backend.name for backend in pool.backends if backend.expand] == ["c5"]
    assert pool.discover is not None
    assert (pool.discover.kind, config.pools["raw"].discover) != ("dns", None)
    assert pool.tls.ca == tmp_path / "certs" / "connectors-ca.pem"
    assert pool.check.kerberos is not None
    assert pool.check.kerberos.keytab == tmp_path / "probe.keytab"
    assert set(pool.consistency.facts) == {"version", "title", "server", "certificate", "address", "key"}
    assert config.listeners["raw"].pools == ("raw",)


def test_the_example_of_a_certificate_of_its_own_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "lbproxy.toml"
    text = with_examples(kind="kerberos", client_certificate="optional", client_identity="xfcc")
    path.write_text(re.sub(r"\[listener.login.tls.mint\]\n(.*\n)*?\n", "", text))
    assert load(path, {}).pools["connectors"].tls.certificate == tmp_path / "certs" / "lbproxy.pem"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_load(path: Path) -> None:
    environ = {"SERVER_URL": "https://a.example", "CONNECTOR_1": "http://c1:4000", "CONNECTOR_2": "http://c2:4000"}
    assert load(path, environ).pools


def test_the_examples_are_those_the_docs_promise() -> None:
    listed = re.findall(r"\]\(\.\./config/examples/([\w-]+)\.toml\)", DOCS.read_text())
    assert [path.stem for path in EXAMPLES] == sorted(listed)


@pytest.mark.parametrize("value", ["0", "257", "true", '"all"', "1.0"])
def test_impossible_workers(value: str, problems_of: Callable[[str], list[str]], sound: str) -> None:
    assert problems_of(f"workers = {value}\n{sound}") == ['workers: must be "auto" or a whole number from 1 to 256']


@pytest.mark.parametrize("value", ["X Request", "X_Request_ID", "X-Request-ID:", "é", "X-\\r\\nEvil", "a" * 65, "1-x"])
def test_impossible_names_of_request_ids(value: str, problems_of: Callable[[str], list[str]], sound: str) -> None:
    [problem] = problems_of(f'request_id = "{value}"\n{sound}')
    assert problem.startswith("request_id: ")
    assert problem.endswith("is not the name of a header: a letter, and up to 63 more, digits and '-'")


def test_the_admin_api_is_for_this_machine(problems_of: Callable[[str], list[str]], sound: str) -> None:
    assert problems_of(f'{sound}\n[admin]\nbind = "0.0.0.0:9000"') == [
        "admin.bind: 0.0.0.0:9000 is not a Unix socket or a loopback address; the admin API has no other protection"
    ]


@pytest.mark.parametrize(("path", "expected"), [("-", "-"), ("", ""), ("/var/log/a", Path("/var/log/a"))])
def test_access_log_path(path: str, expected: Any, load_text: Callable[[str], Config], sound: str) -> None:
    assert load_text(f'{sound}\n[access_log]\npath = "{path}"').access_log.path == expected


@pytest.mark.parametrize(
    ("keys", "seconds"),
    [
        ("", 0.0),
        ('virtual_addresses = ["192.0.2.10"]', 10.0),
        ('leave_timeout = "20s"', 20.0),
        ('virtual_addresses = ["192.0.2.10"]\nleave_timeout = "0s"', 0.0),
    ],
)
def test_there_is_something_to_wait_for_with_virtual_addresses_only(
    keys: str, seconds: float, load_text: Callable[[str], Config], sound: str
) -> None:
    assert load_text(f"{keys}\n{sound}").leave_within == seconds
