from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lbproxy import reasons
from lbproxy.net.tls import ClientPolicy, ClientRefused, ServerTls, refusal
from lbproxy.net.tls.clients import MAX_CHAIN, Clients
from lbproxy.reasons import Reason
from tests.net.tls.terminal import Ends, Terminal, browser, curl, s_client
from tests.net.tls.terminal import listener as open_listener
from tests.pki import DAY, HOUR, SERVER_AUTH, Authority, Holder, self_signed, unreadable, write_bundle, write_crls

ROOT = Authority.root()
USERS = ROOT.intermediate("users")
FIRED = ROOT.intermediate("fired")
ALICE = USERS.issue("alice")
MALLORY = USERS.issue("mallory")

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


def deep(authorities: int) -> Holder:
    """A user below so many authorities."""
    issuer = ROOT
    for number in range(authorities - 1):
        issuer = issuer.intermediate(f"level {number}")
    return issuer.issue("deep")


Make = Callable[..., ServerTls]


@pytest.fixture
def listener(tmp_path: Path) -> Make:
    """`listener(authorities, crls, required)`: one that asks for certificates."""
    login = ROOT.server("login.corp.example").write(tmp_path, "login")

    def make(authorities: Sequence[Holder] = (ROOT,), crls: Sequence[Path] = (), required: bool = True) -> ServerTls:
        ca = write_bundle(tmp_path / "ca.pem", *authorities)
        return open_listener(login, policy=ClientPolicy(required, ca, tuple(crls)))

    return make


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    crls = [ROOT.crl(FIRED), USERS.crl(MALLORY), FIRED.crl(), Authority.root("other").crl()]
    return write_crls(tmp_path / "users.crl", *crls)


def meet(tls: ServerTls, who: Holder | None, at: Path, **settings: Any) -> Ends:
    return Ends(tls.context, browser(who, at=at, **settings))


def refused(tls: ServerTls, who: Holder | None, at: Path) -> tuple[Reason, str]:
    """Why, in the handshake or right after it, with either version."""
    verdicts = set()
    for version in (TLS_1_2, TLS_1_3):
        try:
            with meet(tls, who, at, maximum_version=version) as ends, pytest.raises(ClientRefused) as caught:
                tls.verify(ends.server)
            verdicts.add((caught.value.reason, caught.value.detail))
        except ssl.SSLError as error:
            verdicts.add(refusal(error))
    assert len(verdicts) == 1
    return verdicts.pop()


def accepted(tls: ServerTls, who: Holder | None, at: Path) -> bool:
    with meet(tls, who, at) as ends:
        certificate = tls.verify(ends.server)
    return certificate is not None and certificate.leaf == (who.chain[0] if who else None)


# --- real clients

Case = tuple[Holder, Reason, str]

BAD: dict[str, Case] = {
    "expired": (
        USERS.issue("late", starts=-2 * DAY, ends=-DAY),
        reasons.CLIENT_CERT_EXPIRED,
        "certificate has expired",
    ),
    "not yet valid": (
        USERS.issue("early", starts=DAY, ends=2 * DAY),
        reasons.CLIENT_CERT_REFUSED,
        "certificate is not yet valid",
    ),
    "a revoked leaf": (MALLORY, reasons.CLIENT_CERT_REVOKED, "certificate revoked"),
    "a revoked intermediate": (FIRED.issue("bob"), reasons.CLIENT_CERT_REVOKED, "certificate revoked"),
    "for servers only": (
        USERS.issue("www", usages=[SERVER_AUTH]),
        reasons.CLIENT_CERT_REFUSED,
        "unsuitable certificate purpose",
    ),
    "of an unknown authority": (
        Authority.root("other").issue("eve"),
        reasons.CLIENT_CERT_REFUSED,
        "unable to get local issuer certificate",
    ),
    "self-signed": (self_signed("eve"), reasons.CLIENT_CERT_REFUSED, "self-signed certificate"),
    "of one who is no authority": (
        Authority(ALICE.certificate, ALICE.key, ALICE.issuers).issue("eve"),
        reasons.CLIENT_CERT_REFUSED,
        "invalid CA certificate",
    ),
    "whose authority has no list": (
        ROOT.intermediate("new").issue("bob"),
        reasons.CLIENT_CERT_REFUSED,
        "unable to get certificate CRL",
    ),
}

ALERTS = {
    "expired": "certificate expired",
    "a revoked leaf": "certificate revoked",
    "a revoked intermediate": "certificate revoked",
    "of an unknown authority": "unknown ca",
    "of one who is no authority": "unknown ca",
    "self-signed": "unknown ca",
    "whose authority has no list": "unknown ca",
    "for servers only": "unsupported certificate",
}
"""What a client is told; OpenSSL has "bad certificate" for the others."""


@pytest.fixture
def terminal(listener: Make, lists: Path) -> Iterator[Terminal]:
    with Terminal(listener(crls=[lists])) as made:
        yield made


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("who", [ALICE, USERS.issue("any", usages=()), deep(1)], ids=["alice", "no usages", "of root"])
def test_a_real_client_is_accepted(terminal: Terminal, tmp_path: Path, version: str, who: Holder) -> None:
    ca = ROOT.write_certificate(tmp_path / "root.pem")
    exact = ["--tls-max", version]
    assert curl(terminal.port, ca, *exact, who=who.write(tmp_path, "who")) == 0
    outcome = terminal.outcome()
    assert outcome.certificate is not None
    assert outcome.certificate.chain == who.chain


@pytest.mark.parametrize("case", BAD)
def test_a_real_client_is_refused(terminal: Terminal, tmp_path: Path, case: str) -> None:
    who, reason, detail = BAD[case]
    files = who.write(tmp_path, "who")
    ca = ROOT.write_certificate(tmp_path / "root.pem")
    said = s_client(terminal.port, "-tls1_2", who=files)
    assert f"alert {ALERTS.get(case, 'bad certificate')}" in said
    assert "204 No Content" not in said
    assert curl(terminal.port, ca, "--tlsv1.3", who=files) != 0
    for _ in ("s_client", "curl"):
        outcome = terminal.outcome()
        assert (outcome.reason, outcome.detail) == (reason, detail)


def test_a_chain_that_is_too_long(listener: Make, tmp_path: Path) -> None:
    tls = listener()
    assert accepted(tls, deep(MAX_CHAIN - 1), tmp_path)
    with Terminal(tls) as terminal:
        said = s_client(terminal.port, who=deep(MAX_CHAIN).write(tmp_path, "who"))
        assert "204 No Content" not in said
        outcome = terminal.outcome()
    assert (outcome.reason, outcome.detail) == (reasons.CLIENT_CERT_REFUSED, f"a chain of {MAX_CHAIN + 1} certificates")


# --- the policy


def test_required_and_optional(listener: Make, tmp_path: Path) -> None:
    assert refused(listener(), None, tmp_path) == (reasons.CLIENT_CERT_REFUSED, "no certificate")
    optional = listener(required=False)
    with meet(optional, None, tmp_path) as ends:
        assert optional.verify(ends.server) is None
    assert accepted(optional, ALICE, tmp_path)
    assert refused(optional, self_signed("eve"), tmp_path)[0] is reasons.CLIENT_CERT_REFUSED


def test_only_what_is_in_the_file_is_trusted(listener: Make, tmp_path: Path) -> None:
    """An intermediate authority may be, without the root above it."""
    narrow = listener([USERS])
    assert accepted(narrow, ALICE, tmp_path)
    assert refused(narrow, FIRED.issue("bob"), tmp_path) == (
        reasons.CLIENT_CERT_REFUSED,
        "unable to get local issuer certificate",
    )


def test_an_expired_list_lets_nobody_in(listener: Make, tmp_path: Path) -> None:
    path = write_crls(tmp_path / "users.crl", ROOT.crl(), USERS.crl(next_update=-HOUR))
    assert refused(listener(crls=[path]), ALICE, tmp_path) == (reasons.CRL_EXPIRED, "CRL has expired")
    assert accepted(listener(crls=[path]), ROOT.issue("admin"), tmp_path), "of that issuer"


def test_an_intermediate_beside_its_root_may_be_revoked(listener: Make, tmp_path: Path) -> None:
    path = write_crls(tmp_path / "users.crl", ROOT.crl(USERS), USERS.crl())
    verdict = refused(listener([ROOT, USERS], [path]), ALICE, tmp_path)
    assert verdict == (reasons.CLIENT_CERT_REVOKED, "certificate revoked")


def test_lists_and_an_authority_without_its_root(listener: Make, tmp_path: Path) -> None:
    """OpenSSL checks the leaf; what is between it and the authority is up to us."""
    team = USERS.intermediate("team")
    bob = team.issue("bob")

    def policy(*crls: Path) -> ServerTls:
        return listener([USERS], crls)

    users, below = write_crls(tmp_path / "users.crl", USERS.crl(MALLORY)), write_crls(tmp_path / "t.crl", team.crl())
    assert accepted(policy(users), ALICE, tmp_path)
    assert accepted(policy(users, below), bob, tmp_path)
    assert refused(policy(users), MALLORY, tmp_path) == (reasons.CLIENT_CERT_REVOKED, "certificate revoked")
    assert refused(policy(users), bob, tmp_path) == (reasons.CLIENT_CERT_REFUSED, "unable to get certificate CRL")
    assert refused(policy(below), bob, tmp_path) == (
        reasons.CLIENT_CERT_REFUSED,
        "no revocation list for certificate 1 of its chain",
    )
    fired = write_crls(tmp_path / "users.crl", USERS.crl(team))
    verdict = refused(policy(fired, below), bob, tmp_path)
    assert verdict == (reasons.CLIENT_CERT_REVOKED, f"serial {team.serial:x} of CN=users")


def test_tells_who_is_shut_out(listener: Make, tmp_path: Path) -> None:
    now, path = time.time(), tmp_path / "users.crl"

    def shut_out(at: float, *authorities: Holder, required: bool = True) -> tuple[tuple[str, ...], bool] | None:
        return listener(authorities, [path], required).shut_out(at)

    assert listener().shut_out(now) is None, "no lists, no harm"
    write_crls(path, ROOT.crl(), USERS.crl(next_update=HOUR))
    assert shut_out(now, ROOT, USERS) is None
    assert shut_out(now, ROOT, USERS, FIRED) == (("CN=fired",), False)
    late = now + 2 * 3600
    assert shut_out(late, ROOT) == (("CN=users",), False), "others below the root get in"
    assert shut_out(late, ROOT, USERS) == (("CN=users",), False)
    assert shut_out(late, USERS) == (("CN=users",), True)
    assert shut_out(late, USERS, required=False) == (("CN=users",), False)
    assert refused(listener([USERS], [write_crls(path, USERS.crl(next_update=-HOUR))]), ALICE, tmp_path)


def test_an_authority_is_shut_out_with_the_one_above(listener: Make, tmp_path: Path) -> None:
    path = write_crls(tmp_path / "users.crl", ROOT.crl(next_update=-HOUR), USERS.crl())
    tls = listener([ROOT, USERS], [path])
    assert tls.shut_out(time.time()) == (("CN=root", "CN=users"), True)
    assert refused(tls, ALICE, tmp_path)[0] in (reasons.CRL_EXPIRED, reasons.CLIENT_CERT_REFUSED)


# --- while a connection is kept


def clients(at: Path, *crls: Path) -> Clients:
    return Clients(ClientPolicy(True, write_bundle(at / "ca.pem", ROOT), crls), time.time())


def test_a_certificate_is_good_until_its_chain_ends(tmp_path: Path, listener: Make) -> None:
    team = ROOT.intermediate("team", ends=timedelta(minutes=5))
    tls = listener()
    with meet(tls, team.issue("bob"), tmp_path) as ends:
        bob = tls.verify(ends.server)
    assert bob is not None
    end = team.certificate.not_valid_after_utc.timestamp()
    assert tls.still_good(bob, end - 1) is None
    assert tls.still_good(bob, end) is reasons.CLIENT_CERT_EXPIRED


def test_a_kept_certificate_and_the_lists(tmp_path: Path) -> None:
    path = write_crls(tmp_path / "users.crl", ROOT.crl(), USERS.crl(next_update=HOUR))
    alice = clients(tmp_path)._chains.verified(ALICE.chain)
    now = time.time()
    assert clients(tmp_path, path).verdict(alice, now) is None
    assert clients(tmp_path, path).verdict(alice, now + 2 * 3600) == (reasons.CRL_EXPIRED, "the list of CN=users")
    write_crls(path, ROOT.crl(), USERS.crl(ALICE))
    verdict = clients(tmp_path, path).verdict(alice, now)
    assert verdict is not None
    assert verdict[0] is reasons.CLIENT_CERT_REVOKED


# --- reasons


@pytest.mark.parametrize(
    ("sent", "detail"), [(b"", "UNEXPECTED_EOF_WHILE_READING"), (b"GET / HTTP/1.1\r\n\r\n", "HTTP_REQUEST")]
)
def test_a_client_that_has_no_handshake(listener: Make, sent: bytes, detail: str) -> None:
    with Terminal(listener()) as terminal, socket.create_connection(("127.0.0.1", terminal.port)) as client:
        client.sendall(sent)
        with suppress(OSError):  # it is closed already
            client.shutdown(socket.SHUT_WR)
        outcome = terminal.outcome()
    assert outcome.reason is reasons.TLS_FAILED
    assert outcome.detail == detail


def test_errors_of_the_connection() -> None:
    assert refusal(ConnectionResetError(104, "reset by peer")) == (reasons.TLS_FAILED, "reset by peer")
    assert refusal(ValueError("no socket any more")) == (reasons.TLS_FAILED, "no socket any more")


def test_a_client_that_does_not_believe_us(listener: Make, tmp_path: Path) -> None:
    """It says so: not a word about its own certificate."""
    with Terminal(listener()) as terminal:
        other = Authority.root("other").write_certificate(tmp_path / "other.pem")
        assert curl(terminal.port, other, who=ALICE.write(tmp_path, "who")) == 60
        assert terminal.outcome()[3:] == (reasons.TLS_FAILED, "TLSV1_ALERT_UNKNOWN_CA")


# --- files


def test_files_that_cannot_be_used_are_no_start(listener: Make, tmp_path: Path) -> None:
    late = Authority.root("late", starts=-3 * DAY, ends=-DAY)
    with pytest.raises(ValueError, match=r"every certificate in .*/ca\.pem has expired"):
        listener([late])
    for content in (b"", b"junk"):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(ValueError, match=r"/bad holds no usable revocation list"):
            listener(crls=[tmp_path / "bad"])
        with pytest.raises(ValueError, match=r"/bad holds no usable PEM certificate"):
            Clients(ClientPolicy(True, tmp_path / "bad"), time.time())
    (tmp_path / "bad").write_bytes(unreadable("name constraint"))
    with pytest.raises(ValueError, match=r"/bad: certificate 1 in it cannot be read: IPAddress name constraints"):
        Clients(ClientPolicy(True, tmp_path / "bad"), time.time())
    with pytest.raises(ValueError, match=r"/none: No such file"):
        Clients(ClientPolicy(True, tmp_path / "none"), time.time())


def test_tells_what_is_in_use(tmp_path: Path, lists: Path) -> None:
    made = clients(tmp_path, lists)
    assert repr(made) == "<client certificates required, 1 authorities, <4 revocation lists of 4 issuers>>"
    assert sorted((each.kind, each.name) for each in made.expiries) == [
        ("client_ca", "CN=root"),
        ("crl", "CN=fired"),
        ("crl", "CN=other"),
        ("crl", "CN=root"),
        ("crl", "CN=users"),
    ]
