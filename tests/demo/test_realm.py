from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from lbproxy.demo.realm import DEBIAN_PACKAGES, Realm, find_programs
from lbproxy.errors import StartError


def klist(*arguments: str, env: dict[str, str]) -> str:
    return subprocess.run(
        ["klist", *arguments], env=os.environ | env, check=True, capture_output=True, text=True
    ).stdout


def kdc_answers(realm: Realm) -> bool:
    command = ["kinit", "-c", f"FILE:{realm.directory}/probe", "nobody"]
    done = subprocess.run(command, env=os.environ | realm.env, input="", capture_output=True, text=True)
    return "not found in Kerberos database" in done.stderr


def test_a_user_gets_a_ticket_for_a_service(realm: Realm, keytab: Path) -> None:
    env = realm.kinit("alice")
    subprocess.run(["kvno", "-q", "HTTP/login.corp.example"], env=os.environ | env, check=True)
    listed = klist(env=env)
    assert "Default principal: alice@CORP.EXAMPLE" in listed
    assert "HTTP/login.corp.example@CORP.EXAMPLE" in listed


def test_a_ticket_goes_to_the_cache_that_was_named(realm: Realm, tmp_path: Path) -> None:
    env = realm.kinit("bob", tmp_path / "cache")
    assert env["KRB5CCNAME"] == f"FILE:{tmp_path}/cache"
    assert "bob@CORP.EXAMPLE" in klist("-c", str(tmp_path / "cache"), env=realm.env)


def test_hundreds_of_users_at_once(realm: Realm) -> None:
    passwords = {f"user{number}": f"secret {number}" for number in range(300)}
    assert realm.add_users(passwords)[299] == "user299@CORP.EXAMPLE"
    assert "user299@CORP.EXAMPLE" in klist(env=realm.kinit("user299"))


@pytest.mark.parametrize("password", ['say "ticket"', "back\\slash", "spaces  and 'quotes'", "-pw", "ünï"])
def test_any_password(realm: Realm, password: str) -> None:
    name = f"with-{password.encode().hex()}"
    realm.add_user(name, password)
    assert name in klist(env=realm.kinit(name))


def test_no_command_can_hide_in_a_name(realm: Realm) -> None:
    with pytest.raises(ValueError, match="line break"):
        realm.add_user("eve\naddprinc mallory", "secret")


def test_only_the_right_password_gets_a_ticket(realm: Realm, tmp_path: Path) -> None:
    realm.add_user("carol", "carol's")
    command = ["kinit", "-c", f"FILE:{tmp_path}/cache", "carol"]
    for password, status in (("wrong", 1), ("carol's", 0)):
        done = subprocess.run(command, env=os.environ | realm.env, input=password, capture_output=True, text=True)
        assert done.returncode == status, done.stderr


def test_a_user_is_added_once(realm: Realm) -> None:
    with pytest.raises(StartError, match="already exists"):
        realm.add_user("alice", "again")


def test_a_rotated_key_goes_to_a_keytab_of_its_own(realm: Realm) -> None:
    first = realm.add_service("HTTP/rotated.corp.example")
    second = realm.rotate("HTTP/rotated.corp.example")
    assert first != second
    for keytab, version in ((first, "1"), (second, "2")):
        entries = klist("-k", str(keytab), env=realm.env).splitlines()[3:]
        assert [entry.split() for entry in entries] == [[version, "HTTP/rotated.corp.example@CORP.EXAMPLE"]]
        assert stat.S_IMODE(keytab.stat().st_mode) == 0o600


def test_acceptors_have_a_replay_cache_each(realm: Realm) -> None:
    caches = {realm.acceptor_env(name)["KRB5RCACHENAME"] for name in ("c1", "c2", "c1")}
    assert len(caches) == 2


def test_two_realms_at_once(realm: Realm, tmp_path: Path) -> None:
    with Realm(tmp_path / "other", "OTHER.EXAMPLE") as other:
        assert other.kdc_pid != realm.kdc_pid
        assert kdc_answers(other)
        assert kdc_answers(realm)


def test_the_end_of_the_realm_is_the_end_of_its_kdc(tmp_path: Path) -> None:
    with Realm(tmp_path) as realm:
        pid = realm.kdc_pid
        assert pid is not None
        assert kdc_answers(realm)
    assert not Path(f"/proc/{pid}").exists()
    assert not kdc_answers(realm)
    assert realm.kdc_pid is None
    realm.stop()  # a second time does nothing


def test_a_realm_that_is_started_again_knows_its_users(tmp_path: Path) -> None:
    with Realm(tmp_path) as realm:
        realm.add_user("alice", "secret")
    with realm:
        assert "alice@CORP.EXAMPLE" in klist(env=realm.kinit("alice"))


def test_a_kdc_that_cannot_start_says_why(tmp_path: Path) -> None:
    realm = Realm(tmp_path)
    with realm:
        pass
    (tmp_path / "principal").write_bytes(b"no database")
    with pytest.raises(StartError, match=r"krb5kdc does not start: .*principal"):
        realm.start()


def test_missing_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda name, path: None if name != "kinit" else f"/usr/bin/{name}")
    with pytest.raises(StartError) as caught:
        Realm(tmp_path)
    assert str(caught.value) == (
        "a Kerberos realm needs krb5kdc, kdb5_util, kadmin.local: apt-get install krb5-admin-server krb5-kdc"
    )


def test_programs_are_found_outside_of_a_users_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert set(find_programs()) == set(DEBIAN_PACKAGES)
