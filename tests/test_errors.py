"""What an administrator reads when lbproxy raises."""

from __future__ import annotations

from lbproxy.errors import AdminError, ConfigError, LbproxyError, MissingExtraError, Problem, RolloutError, StartError


def test_every_error_of_ours_can_be_caught_as_one() -> None:
    for kind in (ConfigError, StartError, MissingExtraError, AdminError, RolloutError):
        assert issubclass(kind, LbproxyError)


def test_a_problem_names_its_place() -> None:
    assert str(Problem("pool.a.backends", "must not be empty")) == "pool.a.backends: must not be empty"


def test_a_config_error_says_everything_at_once_with_the_file() -> None:
    problems = [Problem("server_url", "is missing"), Problem("workers", "must be a number", 7)]
    error = ConfigError("lb.toml", problems)
    assert str(error).splitlines() == ["lb.toml: server_url: is missing", "lb.toml:7: workers: must be a number"]
    assert error.problems == tuple(problems)
    assert error.path == "lb.toml"


def test_a_missing_extra_says_what_to_install() -> None:
    error = MissingExtraError("check.kind kerberos", "kerberos")
    assert str(error) == "check.kind kerberos needs an optional part: install lbproxy[kerberos]"
    assert error.extra == "kerberos"
