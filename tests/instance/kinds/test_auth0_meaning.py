"""What the files of an Auth0 connector mean, and what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.errors import InstanceError
from lbproxy.instance import digests
from lbproxy.instance.kinds import load
from lbproxy.instance.kinds.auth0 import Auth0
from lbproxy.instance.kinds.auth0_settings import KNOWN
from lbproxy.instance.model import Area, File, Instance, Openness, Where, fact_file
from tests.instance.connector import PASSWORD, Connector, encrypt, with_certificates
from tests.pki import self_signed


def understood(connector: Connector, environment: Path | None = None) -> Instance:
    return load("auth0", Where(connector.directory, environment=environment))


@pytest.fixture
def connector(tmp_path: Path) -> Connector:
    return Connector.make(tmp_path / "c")


def test_one_that_has_started_is_fit(connector: Connector) -> None:
    with_certificates(connector)
    found = understood(connector)
    assert (found.problems, found.warnings) == ([], [])
    assert found.values["ldap"]["LDAP_BIND_PASSWORD"].text == PASSWORD
    assert found.values["version"]["version"].text == "6.1.2"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "not started": ({"LDAP_BIND_PASSWORD": "x", "LDAP_BIND_CREDENTIALS": None}, "has not started once"),
    "no password at all": ({"LDAP_BIND_CREDENTIALS": None}, "LDAP_BIND_CREDENTIALS: are missing"),
    "never told the tenant": ({"LAST_SENT_THUMBPRINT": None}, "LAST_SENT_THUMBPRINT: is missing"),
    "another certificate than told": (
        {"LAST_SENT_THUMBPRINT": "AB" * 20},
        "certs/cert.pem: is not the certificate that",
    ),
    "the default secret": (
        {"SESSION_SECRET": None},
        "SESSION_SECRET: has 11 characters, and needs 32; make one with `openssl rand -hex 16`",
    ),
    "a secret that is too long": ({"SESSION_SECRET": "0" * 33}, "SESSION_SECRET: has 33 characters"),
    "no address": ({"SERVER_URL": None}, "SERVER_URL: is missing"),
    "everybody is one user": ({"KERBEROS_DEBUG_USER": "alice"}, "KERBEROS_DEBUG_USER: is set"),
    "certificates without a key": ({"CLIENT_CERT_AUTH": True}, "SSL_PFX: is missing"),
    "certificates without authorities": ({"CLIENT_CERT_AUTH": True}, "CA_CERT: is missing"),
    "credentials of another key": (
        {"LDAP_BIND_CREDENTIALS": encrypt("x", b"another")},
        "LDAP_BIND_CREDENTIALS: are not encrypted under certs/cert.key",
    ),
    "a mapper elsewhere": ({"PROFILE_MAPPER_FILE": "corp-mapper"}, "PROFILE_MAPPER_FILE: corp-mapper is outside"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_with_what_to_do(connector: Connector, what: str) -> None:
    settings, problem = WRONG[what]
    connector.set(**settings)
    assert problem in "\n".join(understood(connector).problems)


def test_keys_that_are_missing_or_do_not_fit(connector: Connector) -> None:
    (connector.directory / "certs" / "cert.key").write_bytes(self_signed("other").key_pem)
    assert "the key is not the certificate's" in "\n".join(understood(connector).problems)
    (connector.directory / "certs" / "cert.key").unlink()
    assert "certs/cert.pem and certs/cert.key: are missing" in "\n".join(understood(connector).problems)


def test_an_address_that_may_be_its_own_is_warned_of(connector: Connector) -> None:
    connector.set(SERVER_URL="http://c1:4000")
    assert "sends users past the balancer" in "\n".join(understood(connector).warnings)


def test_the_password_is_compared_and_not_how_it_was_encrypted(connector: Connector) -> None:
    before = understood(connector).values["ldap"]
    key = (connector.directory / "certs" / "cert.key").read_bytes()
    connector.set(LDAP_BIND_CREDENTIALS=encrypt(PASSWORD, key))
    assert understood(connector).values["ldap"] == before
    connector.set(LDAP_BIND_CREDENTIALS=encrypt("another", key))
    assert understood(connector).values["ldap"] != before


def test_without_config_json_keys_come_from_the_environment(tmp_path: Path) -> None:
    connector = Connector.install(tmp_path / "c")
    (tmp_path / "env").write_text("OVERRIDE_CONFIG=false\nSERVER_URL=https://a\nLDAP_BIND_PASSWORD=x\n")
    problems = "\n".join(understood(connector, tmp_path / "env").problems)
    assert "AUTH_CERT and AUTH_CERT_KEY: are needed" in problems
    assert "has not started" not in problems


def _write(connector: Connector, path: str) -> None:
    (connector.directory / path).write_text("module.exports = 1;\n")


def _own(connector: Connector) -> None:
    connector.set(PROFILE_MAPPER_FILE="./corp.js")
    _write(connector, "lib/corp.js")


MAPPERS: dict[str, Callable[[Connector], None]] = {
    "the file": lambda connector: _write(connector, "lib/profileMapper.js"),
    "a file of one's own": _own,
    "in the settings": lambda connector: connector.set(PROFILE_MAPPER="(raw) => raw"),
}


@pytest.mark.parametrize("way", MAPPERS)
def test_the_mapper_that_counts(connector: Connector, way: str) -> None:
    before = understood(connector).values["mapper"]
    MAPPERS[way](connector)
    after = understood(connector)
    assert after.values["mapper"] != before
    assert after.problems == []


def test_no_secret_is_in_a_problem(connector: Connector) -> None:
    connector.set(SESSION_SECRET="hunter2", SSL_PFX="hunter2", SSL_KEY_PASSWORD="hunter2", CA_CERT="hunter2")
    found = understood(connector)
    assert "hunter2" not in json.dumps([found.problems, found.warnings])


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800"),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=3), inside, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(KNOWN)) | st.text(max_size=5), ANY_JSON, max_size=6))
def test_whatever_config_json_holds_it_is_understood_or_refused(settings: dict[str, Any]) -> None:
    packed = File(Area.INSTANCE, "config.json", json.dumps(settings).encode(), 0o600, True)
    kind, other = Auth0(), [fact_file("version", "1"), fact_file("program", "p")]
    with suppress(InstanceError):
        found = kind.understand([packed, *other])
        key = digests.digest_key(b"a key")
        assert json.dumps([digests.describe(found, key, Openness.INTERNAL), digests.facts(found, key)])
        kind.understand(kind.adapt([packed], [packed], 4000))
        kind.port([packed])
