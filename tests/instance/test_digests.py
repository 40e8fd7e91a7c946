"""Digests that can be compared, and from which no secret can be guessed."""

from __future__ import annotations

import hashlib
import json

from lbproxy.instance import digests
from lbproxy.instance.model import Instance, Openness, Value

KEY = digests.digest_key(b"a private key")
VALUES = {
    "server_url": {"SERVER_URL": Value("https://login.corp.example", Openness.PUBLIC)},
    "session_secret": {"SESSION_SECRET": Value("hunter2")},
    "ldap": {"LDAP_URL": Value("ldaps://dc", Openness.INTERNAL), "LDAP_BIND_PASSWORD": Value("hunter2")},
    "views": {"a.ejs": Value("1", Openness.PUBLIC), "b.ejs": Value("2", Openness.PUBLIC)},
}
INSTANCE = Instance("auth0", VALUES, [])


def test_what_is_secret_is_not_the_plain_hash_that_a_list_of_passwords_gives() -> None:
    told = json.dumps([digests.describe(INSTANCE, KEY, Openness.INTERNAL), digests.facts(INSTANCE, KEY)])
    assert "hunter2" not in told
    for algorithm in ("md5", "sha1", "sha256"):
        assert hashlib.new(algorithm, b"hunter2").hexdigest()[:32] not in told


def test_another_key_gives_another_digest_and_is_told_apart() -> None:
    other = digests.digest_key(b"another private key")
    assert digests.keyed(KEY, "a", b"x") != digests.keyed(other, "a", b"x")
    assert digests.key_id(KEY) != digests.key_id(other)
    assert digests.key_id(None) == ""


def test_two_secrets_that_are_equal_do_not_look_it() -> None:
    described = digests.describe(INSTANCE, KEY, Openness.PUBLIC)
    assert described["session_secret"]["SESSION_SECRET"] != described["ldap"]["LDAP_BIND_PASSWORD"]


def test_shows_as_much_as_is_asked_for() -> None:
    assert digests.describe(INSTANCE, KEY, Openness.INTERNAL)["ldap"]["LDAP_URL"] == "ldaps://dc"
    assert digests.describe(INSTANCE, KEY, Openness.PUBLIC)["ldap"]["LDAP_URL"].startswith("hmac:")


def test_without_a_key_nothing_secret_is_told() -> None:
    assert digests.describe(INSTANCE, None, Openness.PUBLIC)["ldap"]["LDAP_URL"] == digests.UNKNOWN
    assert digests.facts(INSTANCE, None).keys() == {"server_url", "views"}


def test_a_fact_is_the_value_if_it_is_one_and_public_and_else_a_digest_of_all_parts() -> None:
    facts = digests.facts(INSTANCE, KEY)
    assert facts["server_url"] == "https://login.corp.example"
    assert facts["views"].startswith("sha256:")
    assert facts["ldap"].startswith("hmac:")
    moved = {**VALUES, "ldap": {**VALUES["ldap"], "LDAP_URL": Value("ldaps://dc2", Openness.INTERNAL)}}
    changed = digests.facts(Instance("auth0", moved, []), KEY)
    assert {name for name in facts if facts[name] != changed[name]} == {"ldap"}


def test_ends_of_lines_do_not_matter_in_texts() -> None:
    assert digests.text_digest(b"a\r\nb\r\n") == digests.text_digest(b"a\nb\n") != digests.text_digest(b"a\nb")
