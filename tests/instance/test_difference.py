"""In what two instances differ, in words; each of the eight ways."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lbproxy.errors import InstanceError
from lbproxy.instance.difference import Side, compare, side
from lbproxy.instance.kinds import KINDS, harm, load
from lbproxy.instance.model import Where
from tests.instance.connector import Connector, encrypt, with_certificates
from tests.instance.drift import DRIFTS
from tests.pki import self_signed


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Connector, Connector]:
    first = Connector.make(tmp_path / "first")
    with_certificates(first)
    shutil.copytree(first.directory, tmp_path / "second")
    return first, Connector(tmp_path / "second")


def whole(connector: Connector) -> Side:
    return side(connector.directory.name, load("auth0", Where(connector.directory)))


def as_pack(found: Side) -> Side:
    return found._replace(instance=None)


def as_facts(found: Side) -> Side:
    return found._replace(instance=None, values=None)


def test_copies_are_alike_and_the_port_is_their_own(pair: tuple[Connector, Connector]) -> None:
    pair[1].set(PORT=4001, LAST_SENT_THUMBPRINT="", FIREWALL_RULE_CREATED=True)
    for see in (whole, lambda one: as_pack(whole(one)), lambda one: as_facts(whole(one))):
        assert compare(whole(pair[0]), see(pair[1])).same


@pytest.mark.parametrize("fact", DRIFTS)
def test_each_way_to_drift_is_found_however_little_can_be_seen(pair: tuple[Connector, Connector], fact: str) -> None:
    drift, words = DRIFTS[fact]
    drift(pair[1])
    first, second = map(whole, pair)
    for left, right in ((first, second), (as_pack(first), second), (first, as_facts(second))):
        found = compare(left, right)
        assert [one.aspect for one in found.findings] == [fact]
        assert words in found.findings[0].effect
        assert not found.unknown


def test_values_are_shown_and_secrets_are_not(pair: tuple[Connector, Connector]) -> None:
    pair[1].set(LDAP_URL="ldap://elsewhere", SESSION_SECRET="hunter2" * 5)
    findings = {one.aspect: one for one in compare(*map(whole, pair)).findings}
    ldap, secret = findings["ldap"], findings["session_secret"]
    assert (ldap.parts, ldap.left, ldap.right) == (["LDAP_URL"], "ldaps://dc.corp.example", "ldap://elsewhere")
    assert (secret.left, secret.right) == ("", "")


def test_another_signing_key_does_not_make_secrets_differ(pair: tuple[Connector, Connector]) -> None:
    """Where both can be read, the secrets themselves are compared; digests under two keys say nothing."""
    pair[1].sign(self_signed("corp"))
    key = (pair[1].directory / "certs" / "cert.key").read_bytes()
    pair[1].set(LDAP_BIND_CREDENTIALS=encrypt("the password of the LDAP account", key))
    first, second = map(whole, pair)
    found = compare(first, second)
    assert ([one.aspect for one in found.findings], found.unknown) == (["signing"], {})
    found = compare(as_pack(first), second)
    assert [one.aspect for one in found.findings] == ["signing"]
    assert "do not have the same signing key" in found.unknown["session_secret"]
    assert not found.same


def test_what_only_one_tells_is_not_known(pair: tuple[Connector, Connector], tmp_path: Path) -> None:
    (tmp_path / "keytab").write_bytes(b"key")
    with_keytab = side("first", load("auth0", Where(pair[0].directory, keytab=tmp_path / "keytab")))
    assert compare(with_keytab, whole(pair[1])).unknown == {"keytab": "it is known of the first only"}


def test_closer_words_for_some_settings() -> None:
    assert "431" in harm("auth0", "settings", ["MAX_HEADER_SIZE"])
    assert harm("auth0", "settings", ["OTHER"]) == KINDS["auth0"].aspects["settings"]


def test_kinds_are_not_compared(pair: tuple[Connector, Connector]) -> None:
    one = whole(pair[0])
    with pytest.raises(InstanceError, match="is of the kind auth0, and second of apono"):
        compare(one, one._replace(name="second", kind="apono"))
    with pytest.raises(InstanceError, match="'x' is no kind of instance; there are auth0, apono, files"):
        load("x", Where(Path()))
