from __future__ import annotations

from typing import Any

import pytest

from lbproxy.config.checks import admin_web


def document(**keys: Any) -> dict[str, Any]:
    return {"admin": {"web": {"sign_in": ["password"], "passwords": "p", "operators": ["olga"], **keys}}}


def test_none_is_sound_and_so_is_a_whole_one() -> None:
    assert [*admin_web.problems({}), *admin_web.warnings({})] == []
    assert [*admin_web.problems(document()), *admin_web.warnings(document())] == []
    assert [*admin_web.problems(document(sign_in=3, viewers=3)), *admin_web.warnings({"admin": 3})] == []


def test_a_way_needs_its_file() -> None:
    found = document(sign_in=["kerberos", "certificate", "password"])
    assert [str(one) for one in admin_web.problems(found)] == [
        'admin.web.keytab: missing; sign_in = ["kerberos"] needs it',
        'admin.web.client_ca: missing; sign_in = ["certificate"] needs it',
    ]


def test_some_user_has_to_be_admitted() -> None:
    assert [str(one) for one in admin_web.problems(document(operators=[]))] == [
        "admin.web.operators: missing; without viewers and operators no user is admitted"
    ]


@pytest.mark.parametrize(
    ("keys", "warning"),
    [
        ({"keytab": "k"}, 'admin.web.keytab: has no meaning without "kerberos" in sign_in'),
        (
            {"viewers": ["*", "*@CORP"]},
            "admin.web.viewers[1]: '*@CORP' speaks of a Kerberos principal, and there is no \"kerberos\" in sign_in",
        ),
        (
            {"viewers": ["CN=Olga"]},
            "admin.web.viewers[0]: 'CN=Olga' speaks of a certificate's subject,"
            ' and there is no "certificate" in sign_in',
        ),
    ],
)
def test_what_is_there_for_nothing(keys: dict[str, Any], warning: str) -> None:
    assert [str(one) for one in admin_web.warnings(document(**keys))] == [warning]
