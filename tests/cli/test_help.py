from __future__ import annotations

from click.testing import CliRunner, Result

from lbproxy.cli import main


def ask(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["help", *arguments])


def test_a_key_by_its_end_or_by_its_full_name() -> None:
    by_end = ask("max_header_size")
    assert by_end.exit_code == 0
    assert by_end.stdout.startswith('listener.NAME.max_header_size  (default: "128KiB")\n  The largest')
    assert ask("listener.login.max_header_size").stdout == by_end.stdout


def test_an_end_that_several_keys_have_shows_all_of_them() -> None:
    shown = ask("certificate").stdout
    assert "listener.NAME.tls.certificate" in shown
    assert "pool.NAME.tls.certificate" in shown


def test_a_table_shows_what_is_in_it() -> None:
    shown = ask("[pool.connectors.check]").stdout
    assert shown.startswith("[pool.NAME.check]\n  Probes.")
    assert '  pool.NAME.check.interval  (default: "2s")\n' in shown
    assert "principal" not in shown


def test_without_a_key_all_of_them() -> None:
    lines = ask().stdout.splitlines()
    assert "[admin]" in lines
    assert 'fleet.lease  (default: "5s")' in lines


def test_a_key_that_is_none_gets_a_hint() -> None:
    result = ask("idle_timout")
    assert result.exit_code == 1
    assert "no key is called 'idle_timout'; did you mean idle_timeout" in result.stderr
    assert "`lbproxy help` lists all keys" in ask("zzzzzz").stderr
