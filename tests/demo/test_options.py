from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.demo.options import parse_options


def test_only_the_name_is_needed() -> None:
    options = parse_options(["--name", "c1"])
    assert (options.name, options.host, options.port, options.keytab) == ("c1", "127.0.0.1", 0, None)
    assert options.max_header > 64 * 1024


def test_everything_arrives() -> None:
    line = (
        "--name c1 --host ::1 --port 4000 --keytab k --spn-host h --binds --offer-ntlm --tls-cert c --tls-key y"
        " --client-ca a --version 1.8.0 --connector-id x --server-url https://u --journal j --work-ms 2.5"
        " --max-header 99"
    )
    options = parse_options(line.split())
    assert (options.host, options.port, options.keytab, options.spn_host) == ("::1", 4000, Path("k"), "h")
    assert (options.binds, options.offer_ntlm) == (True, True)
    assert (options.tls_cert, options.tls_key, options.client_ca) == (Path("c"), Path("y"), Path("a"))
    assert (options.version, options.connector_id, options.server_url) == ("1.8.0", "x", "https://u")
    assert (options.journal, options.work_ms, options.max_header) == (Path("j"), 2.5, 99)


def test_without_a_name_it_ends_with_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_options([])
    assert caught.value.code == 2
    assert "--name" in capsys.readouterr().err
