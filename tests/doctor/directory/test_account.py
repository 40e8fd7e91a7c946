from __future__ import annotations

import pytest

from lbproxy.doctor.directory.account import Account

NOW = 1_800_000_000.0


def filetime(seconds: float) -> str:
    return str(int((seconds + 11_644_473_600) * 10_000_000))


def account(**attributes: object) -> Account:
    entry = {name.lower().replace("_", "-"): [str(value)] for name, value in attributes.items()}
    return Account({"samaccountname": ["svc"], "dn": ["CN=svc,DC=corp"], **entry})


@pytest.mark.parametrize(
    ("attributes", "reasons"),
    [
        ({"userAccountControl": 0x200}, []),
        ({}, []),
        ({"userAccountControl": 0x202}, ["is disabled"]),
        ({"userAccountControl": 0x200, "lockoutTime": filetime(NOW)}, ["is locked"]),
        ({"lockoutTime": 0}, []),
        ({"lockoutTime": filetime(1), "msDS_User_Account_Control_Computed": 0}, []),  # that time is over
        ({"msDS_User_Account_Control_Computed": 0x10}, ["is locked"]),
        ({"accountExpires": filetime(NOW - 1)}, ["expired"]),
        ({"accountExpires": filetime(NOW + 60)}, []),
        ({"accountExpires": 0x7FFFFFFFFFFFFFFF}, []),
        ({"accountExpires": 0}, []),
        ({"msDS_User_Account_Control_Computed": 0x800000}, ["has a password that expired"]),
        ({"pwdLastSet": 0}, ["has to change its password"]),
        ({"userAccountControl": 0x200200}, ["has keys of DES only"]),
        ({"userAccountControl": "x", "accountExpires": ""}, []),
    ],
)
def test_why_it_cannot_be_used(attributes: dict[str, object], reasons: list[str]) -> None:
    assert [reason for reason, _ in account(**attributes).faults(NOW)] == reasons


def test_the_command_that_helps_names_it() -> None:
    [(_, command)] = account(userAccountControl=2).faults(NOW)
    assert command == "Enable-ADAccount svc"
    assert (account().name, account().dn) == ("svc (CN=svc,DC=corp)", "CN=svc,DC=corp")


@pytest.mark.parametrize(("bits", "only"), [(4, True), (0x1C, False), (0x18, False), (0, False), (None, False)])
def test_rc4_only(bits: int | None, only: bool) -> None:
    found = account() if bits is None else account(msDS_SupportedEncryptionTypes=bits)
    assert found.is_rc4_only is only


def test_its_key_and_its_end() -> None:
    found = account(msDS_KeyVersionNumber=3, msDS_UserPasswordExpiryTimeComputed=filetime(NOW + 3600))
    assert found.kvno == 3
    assert found.ends(NOW) == pytest.approx(3600, abs=1)
    assert account().ends(NOW) is None
    assert account().kvno is None
