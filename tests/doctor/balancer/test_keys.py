from __future__ import annotations

from pathlib import Path

from lbproxy.doctor.balancer.keys import keytabs, ticket
from lbproxy.doctor.finding import Finding, Outcome
from tests.control.probes.kerberos.peers import HOST, PROBE, Corp
from tests.doctor.conftest import Looking, kerberos
from tests.doctor.looking import only, told

SERVICE = f"HTTP/{HOST}"


async def beside(look: Looking, corp: Corp, path: Path) -> Finding:
    """What is said of a connector's keytab; the other finding is of the probe's own."""
    first, _ = await keytabs(look(pool=kerberos(corp.probe_keytab), keytabs=(path,)))
    return first


async def test_the_key_that_tickets_are_made_with(look: Looking, corp: Corp) -> None:
    corp.rotate()
    found = only(await ticket(look(pool=kerberos(corp.probe_keytab))))
    assert told([found]) == [f"ok: {SERVICE}: the KDC makes tickets with kvno 2, aes256-sha1"]


async def test_rc4_is_weak(look: Looking, corp: Corp) -> None:
    conf = corp.realm.directory / "krb5.conf"
    allowed = "[libdefaults]\nallow_weak_crypto = true\nallow_rc4 = true"
    conf.write_text(conf.read_text().replace("[libdefaults]", allowed))
    corp.kadmin_talks(f"cpw -randkey -e arcfour-hmac:normal {SERVICE}")
    corp.kadmin_talks(f"setstr {SERVICE} session_enctypes aes256-cts")
    found = only(await ticket(look(pool=kerberos(corp.probe_keytab))))
    assert (found.outcome, found.found) == (Outcome.WARNING, "the KDC makes tickets with kvno 2, rc4")


async def test_an_spn_that_is_not_there(look: Looking, corp: Corp) -> None:
    found = only(await ticket(look(pool=kerberos(corp.probe_keytab, "HTTP@o.example"), url="http://o.example")))
    assert found.outcome is Outcome.PROBLEM
    assert "the KDC knows no service of this SPN" in found.found


async def test_browsers_ask_for_another(look: Looking, corp: Corp) -> None:
    found = [*await ticket(look(pool=kerberos(corp.probe_keytab), url="http://sso.corp.example"))]
    assert [one.outcome for one in found] == [Outcome.OK, Outcome.WARNING]
    assert found[1].repair == 'spn = "HTTP@sso.corp.example" in [pool.connectors.check.kerberos]'


async def test_a_keytab_with_the_key(look: Looking, corp: Corp) -> None:
    found = await beside(look, corp, corp.keytab)
    assert (found.outcome, found.found) == (
        Outcome.OK,
        f"{corp.keytab}: takes the ticket of the KDC (kvno 1, aes256-sha1)",
    )


async def test_a_keytab_with_an_old_key(look: Looking, corp: Corp) -> None:
    corp.rotate()
    found = await beside(look, corp, corp.keytab)
    assert found.outcome is Outcome.PROBLEM
    assert "kvno 1 aes256-sha1; tickets are made with kvno 2, aes256-sha1" in found.found


async def test_a_keytab_without_the_enctype(look: Looking, corp: Corp) -> None:
    path = corp.realm.directory / "aes128.keytab"
    corp.kadmin_talks(f"ktadd -k {path} -e aes128-cts:normal {SERVICE}")
    corp.kadmin_talks(f"cpw -randkey -keepold -e aes256-cts:normal {SERVICE}")
    path.write_bytes(path.read_bytes().replace(b"\0\0\0\x02", b"\0\0\0\x03").replace(b"\x02\0\x11", b"\x03\0\x11"))
    found = await beside(look, corp, path)
    assert found.outcome is Outcome.PROBLEM
    assert "has no aes256-sha1 key of kvno 3" in found.found


async def test_a_keytab_with_the_right_names_and_another_key(look: Looking, corp: Corp) -> None:
    content = corp.keytab.read_bytes()
    path = corp.realm.directory / "salted.keytab"
    path.write_bytes(content[:-36] + bytes(32) + content[-4:])
    found = await beside(look, corp, path)
    assert found.outcome is Outcome.PROBLEM
    assert "and it is another one" in found.found
    assert "salt" in found.why


async def test_without_one_it_is_not_seen(look: Looking, corp: Corp) -> None:
    found = [*await keytabs(look(pool=kerberos(corp.probe_keytab)))]
    assert [one.outcome for one in found] == [Outcome.UNSEEN, Outcome.OK]
    assert found[1].found == f"{corp.probe_keytab}: {PROBE}@CORP.EXAMPLE, kvno 1, aes256-sha1"


async def test_one_that_is_none(look: Looking, corp: Corp, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    found = [*await keytabs(look(pool=kerberos(tmp_path / "x"), keytabs=(tmp_path / "x", tmp_path / "none")))]
    assert told(found) == [
        f"not seen: {tmp_path}/x is not a keytab",
        f"not seen: {tmp_path}/none: No such file or directory",
        f"problem: {tmp_path}/x is not a keytab",
    ]


async def test_keys_are_never_shown(look: Looking, corp: Corp) -> None:
    key = corp.keytab.read_bytes()[-36:-4].hex()
    found = str([*await keytabs(look(pool=kerberos(corp.probe_keytab), keytabs=(corp.keytab,)))])
    assert key not in found
