from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lbproxy.cli.answers import Answers, answer_options, draft
from lbproxy.draft.draft import Draft

HOME = Path("/nowhere")
"""Where --self-signed would keep what it makes."""

LEAST = ("--listen", "127.0.0.1:8080", "--to", "http://10.0.0.11:4000")


def answered(*arguments: str) -> Answers:
    """What the options give."""
    found: list[Answers] = []

    @click.command()
    @answer_options
    def command(**answers: object) -> None:
        found.append(answers)  # type: ignore[arg-type]

    result = CliRunner().invoke(command, arguments)
    if result.exit_code:
        raise click.UsageError(result.stderr.splitlines()[-1])
    return found[0]


def made(*arguments: str) -> Draft:
    return draft(answered(*arguments), lambda: HOME)


def test_each_to_is_a_backend() -> None:
    assert made(*LEAST, "--to", "https://c2").backends == ("http://10.0.0.11:4000", "https://c2")


def test_self_signed_is_for_the_host_of_users(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = answered(*LEAST, "--self-signed", "--server-url", "https://login.test")
    signed = draft(answers, lambda: tmp_path)
    assert signed.certificate == tmp_path / "trial" / "login.test" / "server.pem"
    assert signed.certificate.exists()
    assert str(tmp_path / "trial" / "login.test" / "ca.pem") in capsys.readouterr().err


def test_kerberos_signs_in_to_the_host_of_users() -> None:
    signed = made(
        *LEAST, "--server-url", "http://login.test:8080", "--check", "kerberos", "--principal", "p@R", "--keytab", "/k"
    )
    assert signed.kerberos is not None
    assert signed.kerberos.spn == "HTTP@login.test"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--to", "http://c"), "--listen and --to belong together"),
        (("--listen", "127.0.0.1:1"), "--listen and --to belong together"),
        (("--listen", "8080"), "'--listen': '8080' is not host:port"),
        ((*LEAST, "--to", "c2:80"), "'--to': 'c2:80' is not a URL that begins with http://"),
        ((*LEAST, "--key", "k"), "--certificate and --key belong together"),
        ((*LEAST, "--key", "k", "--certificate", "c", "--self-signed"), "exclude each other"),
        ((*LEAST, "--check", "kerberos"), "needs --principal and --keytab"),
        ((*LEAST[:2], "--to", "tcp://c:1", "--self-signed"), "with tcp:// the backends end TLS"),
        ((*LEAST, "--admin", "x"), "'--admin': 'x' is not host:port"),
    ],
)
def test_what_does_not_fit_names_the_option(arguments: tuple[str, ...], problem: str) -> None:
    with pytest.raises(click.UsageError) as caught:
        made(*arguments)
    assert problem in caught.value.message
