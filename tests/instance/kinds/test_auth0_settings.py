"""What the Auth0 connector goes by: the environment, config.json, defaults."""

from __future__ import annotations

import pytest

from lbproxy.errors import InstanceError
from lbproxy.instance.kinds.auth0_settings import effective, grouped, mapper_path, read_config, text


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "config.json, line 1: is not JSON"),
        (b'{\n"a": 1,\n}', "config.json, line 3: is not JSON"),
        (b"\xff\xfe", "config.json: is not JSON"),
        (b"[" * 100_000, "config.json: is not JSON"),
        (b"[]", "config.json: is not a JSON object"),
        (rb'{"a": "\ud800"}', "config.json: is not JSON"),
        (rb'{"a": "/x\u0000y"}', "config.json: has a NUL character"),
        (rb'{"a": ["\\\u0000"]}', "config.json: has a NUL character"),
    ],
)
def test_a_config_that_cannot_be_read(content: bytes, problem: str) -> None:
    with pytest.raises(InstanceError, match=f"^{problem}"):
        read_config(content)


def test_a_backslash_before_a_number_is_no_nul() -> None:
    assert read_config(rb'{"a": "\\u0000"}') == {"a": "\\u0000"}


def test_a_config_as_windows_writes_it() -> None:
    assert read_config(b'\xef\xbb\xbf{\r\n"PORT": 4000\r\n}') == {"PORT": 4000}


def test_the_environment_wins_but_only_with_settings_of_the_connector() -> None:
    variables = {"SERVER_URL": "https://env", "LDAP_X": "1", "PATH": "/bin", "OWN_KEY": "2"}
    found = effective({"SERVER_URL": "https://file", "OWN_KEY": "1"}, variables)
    assert (found["SERVER_URL"], found["LDAP_X"], found["OWN_KEY"]) == ("https://env", "1", "2")
    assert "PATH" not in found
    assert found["SESSION_SECRET"] == "a1b2c3d4567"


def test_config_json_can_be_off() -> None:
    assert "SERVER_URL" not in effective({"SERVER_URL": "https://file"}, {"OVERRIDE_CONFIG": "false"})


def test_values_for_comparing() -> None:
    assert [text(value) for value in (4000, "4000", True, "true")] == ["4000", "4000", "true", "true"]
    assert [text(value) for value in (False, None, "")] == ["", "", ""], "what is falsy in JavaScript"
    assert [text(value) for value in (0, ["b"])] == ["0", '["b"]']


def test_every_setting_has_its_place_and_what_is_unknown_is_a_secret() -> None:
    settings = {"LDAP_URL": "u", "REALM": "urn:r", "urn:r": "https://t/post", "PROVISIONING_TICKET": "t",
                "MAX_HEADER_SIZE": 1, "UNHEARD_OF": "s", "PORT": 1, "LAST_SENT_THUMBPRINT": "x"}  # fmt: skip
    found = grouped(settings)
    assert {aspect: sorted(parts) for aspect, parts in found.items()} == {
        "ldap": ["LDAP_URL"],
        "tenant": ["PROVISIONING_TICKET", "REALM", "urn:r"],
        "settings": ["MAX_HEADER_SIZE", "UNHEARD_OF"],
    }
    shown = {name: value.openness.name for parts in found.values() for name, value in parts.items()}
    assert (shown["UNHEARD_OF"], shown["PROVISIONING_TICKET"], shown["LDAP_URL"]) == ("SECRET", "SECRET", "INTERNAL")


@pytest.mark.parametrize(
    ("named", "path"),
    [
        ("./corp.js", "lib/corp.js"),
        ("./corp", "lib/corp.js"),
        ("../corp/map.cjs", "corp/map.cjs"),
        ("../../etc/x", None),
        ("/opt/x.js", None),
        ("package", None),
        (".../x", None),
    ],
)
def test_where_the_mapper_is(named: str, path: str | None) -> None:
    assert mapper_path(named) == path
