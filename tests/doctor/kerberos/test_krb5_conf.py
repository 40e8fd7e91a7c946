from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.doctor.kerberos.krb5_conf import Krb5Conf, read_krb5_conf

FILE = """
# a comment
[libdefaults]
    default_realm = CORP.EXAMPLE
    rdns = no
    permitted_enctypes = "aes256-cts aes128-cts"
[realms]
    CORP.EXAMPLE = {
        kdc = dc1.corp.example
        kdc = [2001:db8::1]:88
        auth_to_local = {
            RULE:[1:$1] = a
        }
    }
    OTHER.EXAMPLE = {
        kdc = dc.other.example:750
    }
[domain_realm]
    .corp.example = CORP.EXAMPLE
"""


def conf(path: Path, text: str) -> Krb5Conf:
    path.write_text(text)
    return read_krb5_conf({"KRB5_CONFIG": str(path)})


def test_reads_settings_and_realms(tmp_path: Path) -> None:
    found = conf(tmp_path / "krb5.conf", FILE)
    assert found.setting("default_realm") == "CORP.EXAMPLE"
    assert found.setting("permitted_enctypes") == "aes256-cts aes128-cts"
    assert not found.flag("rdns", True)
    assert found.flag("dns_lookup_kdc", True)
    assert found.kdcs("CORP.EXAMPLE") == ["dc1.corp.example", "[2001:db8::1]:88"]
    assert found.kdcs("OTHER.EXAMPLE") == ["dc.other.example:750"]
    assert found.kdcs("NOBODY.EXAMPLE") == []


def test_reads_what_is_included(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "one").write_text("[libdefaults]\nrdns = false\n")
    (tmp_path / "d" / "two.rpmsave~").write_text("[libdefaults]\ndefault_realm = WRONG\n")
    (tmp_path / "more").write_text("[libdefaults]\ndefault_realm = CORP.EXAMPLE\n")
    found = conf(tmp_path / "krb5.conf", f"includedir {tmp_path}/d\ninclude {tmp_path}/more\n")
    assert not found.flag("rdns", True)
    assert found.setting("default_realm") == "CORP.EXAMPLE"
    assert len(found.paths) == 3


def test_one_that_includes_itself_ends(tmp_path: Path) -> None:
    path = tmp_path / "krb5.conf"
    found = conf(path, f"include {path}\n[libdefaults]\nrdns = false\n")
    assert found.troubles == [f"{path}: too many files include each other"]
    assert not found.flag("rdns", True)


def test_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    found = read_krb5_conf({"KRB5_CONFIG": f"{tmp_path}/none:{tmp_path}"})
    assert found.troubles == [f"{tmp_path}/none: No such file or directory"]


@pytest.mark.parametrize("text", ["}", "= =", "[", "[libdefaults", "a = {\n", "\0\0", "[realms]\n A = {\n A = {\n"])
def test_what_makes_no_sense_is_nothing(tmp_path: Path, text: str) -> None:
    assert conf(tmp_path / "krb5.conf", text).kdcs("CORP.EXAMPLE") == []
