from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.doctor.kerberos.keytab import Entry, read_keytab
from tests.control.probes.kerberos.peers import Corp


def test_reads_what_kadmin_has_written(corp: Corp) -> None:
    [found] = read_keytab(corp.keytab)
    assert found[:3] == ("HTTP/login.corp.example@CORP.EXAMPLE", 1, 18)
    [newer] = read_keytab(corp.rotate())
    assert newer.kvno == 2
    assert newer.written >= found.written > 1_600_000_000


def test_reads_versions_beyond_a_byte_and_skips_holes(tmp_path: Path, corp: Corp) -> None:
    content = corp.keytab.read_bytes()
    length = int.from_bytes(content[2:6], signed=True)
    entry = content[6 : 6 + length]
    wide = entry[:-4] + (300).to_bytes(4)
    hole = (-8).to_bytes(4, signed=True) + bytes(8)
    path = tmp_path / "keytab"
    path.write_bytes(content[:2] + hole + len(wide).to_bytes(4) + wide)
    [found] = read_keytab(path)
    assert found.kvno == 300


def test_one_that_is_cut_off_anywhere_is_told(tmp_path: Path, corp: Corp) -> None:
    content = corp.keytab.read_bytes()
    path = tmp_path / "keytab"
    for end in range(len(content)):
        path.write_bytes(content[:end])
        if end == 2:
            assert read_keytab(path) == []  # which is what ktutil leaves of a keytab without keys
            continue
        with pytest.raises(ValueError, match="keytab"):
            read_keytab(path)


def test_another_file_is_no_keytab(tmp_path: Path) -> None:
    path = tmp_path / "keytab"
    path.write_text("-----BEGIN CERTIFICATE-----")
    with pytest.raises(ValueError, match="is not a keytab"):
        read_keytab(path)
    with pytest.raises(OSError, match="No such file"):
        read_keytab(tmp_path / "none")


def test_has_no_key(corp: Corp) -> None:
    assert Entry._fields == ("principal", "kvno", "enctype", "written")
