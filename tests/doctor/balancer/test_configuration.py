from __future__ import annotations

from pathlib import Path

from lbproxy.doctor.balancer.configuration import expiries, files
from lbproxy.doctor.balancer.sight import Sight
from lbproxy.doctor.finding import Outcome
from tests.doctor.conftest import Looking
from tests.doctor.looking import only
from tests.pki import DAY, Authority


def tls(look: Looking, directory: Path) -> Sight:
    Authority.root().server("login.corp.example", ends=90 * DAY).write(directory, "login")
    return look(
        url="https://login.corp.example",
        listener=f'[listener.login.tls]\ncertificate = "{directory}/login.pem"\nkey = "{directory}/login.key"',
    )


def test_one_that_is_fit(look: Looking) -> None:
    assert only(files(look().asked)).found.endswith("is fit to run, and serves http://login.corp.example")


def test_a_problem_names_the_line_and_the_commands(look: Looking, tmp_path: Path) -> None:
    found = only(files(look(pool=f'tls.ca = "{tmp_path}/none.pem"').asked))
    assert (found.outcome, found.subject) == (Outcome.PROBLEM, "pool.connectors.tls.ca")
    assert f"{tmp_path}/lbproxy.toml:10" in found.repair


def test_what_is_doubtful_is_a_warning(look: Looking) -> None:
    assert only(files(look(pool="tls.verify = false").asked)).outcome is Outcome.WARNING


def test_what_ends_first(look: Looking, tmp_path: Path) -> None:
    found = only(expiries(tls(look, tmp_path).asked))
    assert found.outcome is Outcome.OK
    assert "listener.login.tls.certificate" in found.found
    assert only(expiries(look().asked)).found == "no certificate and no revocation list is in use"


def test_what_has_ended(look: Looking, tmp_path: Path) -> None:
    sight = tls(look, tmp_path)
    Authority.root().issue("login", dns=["login.corp.example"], starts=-9 * DAY, ends=-DAY).write(tmp_path, "login")
    assert only(expiries(sight.asked)).outcome is Outcome.PROBLEM
