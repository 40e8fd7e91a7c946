"""Files of an instance: what they are called, and how one is found."""

from __future__ import annotations

from lbproxy.instance.model import Area, File, fact_file, find


def test_names_for_people() -> None:
    assert str(File(Area.INSTANCE, "certs/cert.key", b"", 0o600, True)) == "certs/cert.key"
    assert str(File(Area.CA, "corp.pem", b"", 0o644, False)) == "ca corp.pem"
    assert str(File(Area.KEYTAB, "", b"", 0o600, True)) == "keytab"


def test_what_is_in_a_file_is_in_no_repr() -> None:
    assert "hunter2" not in repr(File(Area.INSTANCE, "config.json", b"hunter2", 0o600, True))


def test_is_found_by_area_and_path() -> None:
    version, other = fact_file("version", "6.1.2"), File(Area.INSTANCE, "version", b"", 0o644, False)
    assert find([other, version], Area.PROGRAM, "version") == version
    assert find([other], Area.PROGRAM, "version") is None
