from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lbproxy.config import Config, load
from lbproxy.errors import ConfigError, Problem

EVERYTHING_WRONG = """
server_url = "https://login.corp.example/login"
workers = 0
[listener.login]
bnd = "0.0.0.0:443"
pool = "conectors"
max_header_size = "2MiB"
[listener.login.tls]
certificate = "${CERTIFICATES}/login.pem"
client_ca = "users.pem"
[pool.connectors]
backends = [
  { name = "c1", url = "http://10.0.0.11:4000/" },
  { name = "c1", url = "http://10.0.0.12:4000/wsfed" },
]
[pool.connectors.check]
interval = 2
"""


def test_a_sound_file(load_text: Callable[[str], Config], sound: str) -> None:
    config = load_text(sound)
    assert config.server_url == "https://login.corp.example"
    assert list(config.listeners) == ["login"]
    assert config.pools["connectors"].backends[0].url == "http://10.0.0.11:4000"


def test_every_problem_is_reported_at_once(problems_of: Callable[[str], list[str]]) -> None:
    assert sorted(problems_of(EVERYTHING_WRONG)) == [
        "listener.login.bind: missing",
        "listener.login.bnd: unknown key; did you mean bind?",
        "listener.login.max_header_size: must be between 1KiB and 1MiB",
        "listener.login.pool: there is no [pool.conectors]; the file has connectors",
        "listener.login.tls.certificate: the environment variable CERTIFICATES is not set",
        "listener.login.tls.client_ca: has no meaning without client_certificate",
        "listener.login.tls.key: missing",
        "pool.connectors.backends[1].name: 'c1' is taken by pool.connectors.backends[0].name",
        "pool.connectors.backends[1].url: 'http://10.0.0.12:4000/wsfed' must end after the host and port, "
        "without path or query",
        'pool.connectors.check.interval: 2 is not a duration such as "500ms", "2s", "10m" or "1h"',
        "server_url: 'https://login.corp.example/login' must end after the host and port, without path or query",
        'workers: must be "auto" or a whole number from 1 to 256',
    ]


def test_what_is_not_used_is_a_warning(load_text: Callable[[str], Config], sound: str) -> None:
    config = load_text(f'{sound}\n[pool.connectors.check]\nkind = "tcp"\npath = "/healthz"')
    assert [str(warning) for warning in config.warnings] == [
        'pool.connectors.check.path: has no meaning with kind = "tcp"'
    ]
    assert load_text(sound).warnings == ()


def test_an_empty_file_says_what_is_needed(problems_of: Callable[[str], list[str]]) -> None:
    assert problems_of("") == [
        "listener: missing; at least one [listener.NAME] is needed",
        "pool: missing; at least one [pool.NAME] is needed",
        "server_url: missing",
    ]


def test_a_key_has_one_problem_at_a_time(problems_of: Callable[..., list[str]], sound: str) -> None:
    """The unset variable also makes no URL, which is not worth a second line."""
    assert problems_of(sound.replace("http://10.0.0.11:4000", "${C1}")) == [
        "pool.connectors.backends[0].url: the environment variable C1 is not set"
    ]


def test_problems_and_warnings_have_the_lines_of_their_keys(load_text: Callable[..., Config], sound: str) -> None:
    """An entry that is left out moves nothing."""
    text = sound.replace("[{", '[\n{ name = "c0", url = "${C0-}" },\n{').replace("}]", ', check_url = "${C2}" },\n]')
    with pytest.raises(ConfigError) as caught:
        load_text(text + "colour = 1")
    assert [(str(problem), problem.line) for problem in caught.value.problems] == [
        ("pool.connectors.backends[0].check_url: the environment variable C2 is not set", 9),
        ("pool.connectors.colour: unknown key", 11),
    ]
    config = load_text(text + 'check.kind = "tcp"', C2="http://c2")
    assert [(warning.where, warning.line) for warning in config.warnings] == [
        ("pool.connectors.backends[0].check_url", 9),
    ]
    [located] = config.located([Problem("listener.login.tls.key", "missing")])
    assert located.in_file("lb.toml", "warning: ") == "lb.toml:3: listener.login.tls.key: warning: missing"


def test_backends_whose_variable_is_empty_are_left_out(
    load_text: Callable[..., Config], problems_of: Callable[..., list[str]], sound: str
) -> None:
    text = sound.replace("}]", '}, { name = "c2", url = "${CONNECTOR_2-}" }, { name = "c3", url = "${CONNECTOR_3}" }]')
    for environ, names in (
        ({"CONNECTOR_3": ""}, ["c1"]),
        ({"CONNECTOR_2": "http://c2", "CONNECTOR_3": ""}, ["c1", "c2"]),
        ({"CONNECTOR_3": "http://c3"}, ["c1", "c3"]),
    ):
        config = load_text(text, **environ)
        assert [backend.name for backend in config.pools["connectors"].backends] == names
    assert problems_of(text) == ["pool.connectors.backends[1].url: the environment variable CONNECTOR_3 is not set"]
    nobody = sound.replace("http://10.0.0.11:4000", "${NONE-}")
    assert problems_of(nobody) == ["pool.connectors.backends: needs at least one entry"]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "none.toml")
    assert str(caught.value) == f"{tmp_path}/none.toml: cannot be read: No such file or directory"


def test_a_file_from_windows(tmp_path: Path, sound: str) -> None:
    path = tmp_path / "lbproxy.toml"
    path.write_bytes(b"\xef\xbb\xbf" + sound.replace("\n", "\r\n").encode())
    assert load(path, environ={}).server_url == "https://login.corp.example"


def test_variables_come_from_the_given_environment(load_text: Callable[..., Config], sound: str) -> None:
    text = sound.replace("10.0.0.11", "${C1}").replace("127.0.0.1:8080", "${BIND-127.0.0.1:9090}")
    config = load_text(text, C1="connector-1")
    assert config.pools["connectors"].backends[0].url == "http://connector-1:4000"
    assert str(config.listeners["login"].bind) == "127.0.0.1:9090"


def test_the_default_environment_is_the_process_s(tmp_path: Path, sound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LBPROXY_TEST_BIND", "[::1]:9090")
    path = tmp_path / "lbproxy.toml"
    path.write_text(sound.replace("127.0.0.1:8080", "${LBPROXY_TEST_BIND}"))
    assert str(load(path).listeners["login"].bind) == "[::1]:9090"


def test_paths_are_relative_to_the_file(tmp_path: Path, sound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "lbproxy.toml").write_text(
        sound + 'tls.ca = "../ca.pem"\n[access_log]\npath = "log/access"\n[admin]\nbind = "unix:admin.sock"'
    )
    monkeypatch.chdir(tmp_path)
    config = load(Path("etc/lbproxy.toml"))
    assert config.pools["connectors"].tls.ca == tmp_path / "etc" / ".." / "ca.pem"
    assert config.access_log.path == tmp_path / "etc" / "log" / "access"
    assert config.admin.bind.path == tmp_path / "etc" / "admin.sock"


@pytest.mark.parametrize(
    ("server_url", "host"),
    [("https://Login.corp.example:8443", "login.corp.example"), ("http://[::1]:8080/", "[::1]")],
)
def test_hosts_default_to_that_of_server_url(
    server_url: str, host: str, load_text: Callable[[str], Config], sound: str
) -> None:
    config = load_text(sound.replace("https://login.corp.example", server_url))
    assert config.listeners["login"].hosts == (host,)
    assert config.server_host == host


def test_hosts_that_are_given_stand(load_text: Callable[[str], Config], sound: str) -> None:
    text = sound.replace('bind = "127.0.0.1:8080"', 'bind = "127.0.0.1:8080"\nhosts = ["Other.example", "*"]')
    assert load_text(text).listeners["login"].hosts == ("other.example", "*")
