from __future__ import annotations

import pytest

from lbproxy.dashboard.roles import role_of

VIEWERS, OPERATORS = ["*@CORP.EXAMPLE", "vera"], ["ops@CORP.EXAMPLE", "CN=Olga Ops", "CN=*,OU=ops", "o*"]


@pytest.mark.parametrize(
    ("how", "name", "role"),
    [
        ("kerberos", "ops@CORP.EXAMPLE", "operator"),
        ("kerberos", "eve@CORP.EXAMPLE", "viewer"),
        ("kerberos", "ops@EVIL.EXAMPLE", None),
        ("kerberos", "ops@corp.example", None),
        ("kerberos", "ops@CORP.EXAMPLE@EVIL", None),
        ("certificate", "CN=Olga Ops", "operator"),
        ("certificate", "CN=Olga Ops,O=Evil", None),
        ("certificate", "CN=x,OU=ops", "operator"),
        ("certificate", "CN=a\\,b,OU=ops", "operator"),
        # A comma that is part of a name begins nothing (RFC 4514, section 2.4).
        ("certificate", "CN=x\\,OU=ops", None),
        ("certificate", "CN=x\\\\\\,OU=ops", None),
        ("password", "vera", "viewer"),
        ("password", "olga", "operator"),
        ("password", "veras", None),
        # A name of one way is none of another.
        ("certificate", "CN=ops@CORP.EXAMPLE", None),
        ("certificate", "CN=eve,emailAddress=eve@CORP.EXAMPLE", None),
        ("kerberos", "CN=Olga Ops", None),
        ("kerberos", "vera", None),
    ],
)
def test_a_role_follows_from_the_way_and_the_name(how: str, name: str, role: str | None) -> None:
    assert role_of(how, name, VIEWERS, OPERATORS) == role


def test_a_star_alone_is_everybody_and_nothing_else_is_a_pattern() -> None:
    assert role_of("certificate", "CN=x", ["*"], []) == "viewer"
    assert role_of("password", "oo", [], ["o?", "[o]o", "o.*"]) is None
