from __future__ import annotations

from pathlib import Path

import dns.message
import pytest

from lbproxy.doctor.balancer import names
from lbproxy.doctor.finding import Outcome, UnseenError
from tests.control.discovery.name_server import Answer, records, serving
from tests.doctor.conftest import Looking
from tests.doctor.looking import only, told
from tests.doctor.servers import tls_server
from tests.pki import Authority

KRB5 = "[libdefaults]\n{}\n"


def saying(*lines: str) -> Answer:
    return lambda query: records(query, *lines)


async def test_a_name_with_an_address(look: Looking) -> None:
    async with serving(saying("login.corp.example. 60 IN A 192.0.2.10")) as server:
        found = told(await names.forward(look(nameserver=server.port)))
    assert found == ["ok: login.corp.example is 192.0.2.10"]


async def test_a_name_that_is_not_there(look: Looking) -> None:
    async with serving(saying()) as server:
        assert told(await names.forward(look(nameserver=server.port))) == ["problem: login.corp.example is not in DNS"]


async def test_an_alias_is_what_chrome_asks_a_ticket_for(look: Looking) -> None:
    lines = ("login.corp.example. 60 IN CNAME lb1.corp.example.", "lb1.corp.example. 60 IN A 192.0.2.10")
    async with serving(saying(*lines)) as server:
        found = only(await names.forward(look(nameserver=server.port)))
    assert (found.outcome, found.found) == (
        Outcome.WARNING,
        "login.corp.example is a CNAME, and leads to lb1.corp.example",
    )
    assert "HTTP/lb1.corp.example" in found.why


async def test_a_name_that_does_not_lead_to_the_virtual_address(look: Looking) -> None:
    async with serving(saying("login.corp.example. 60 IN A 192.0.2.10")) as server:
        sight = look(nameserver=server.port, top='virtual_addresses = ["192.0.2.99"]')
        found = list(await names.forward(sight))
    assert [one.outcome for one in found] == [Outcome.WARNING, Outcome.OK]
    assert found[0].repair == "in DNS: login.corp.example A 192.0.2.99"


async def test_this_host_may_think_otherwise(look: Looking) -> None:
    async with serving(saying("localhost. 60 IN A 192.0.2.10")) as server:
        found = told(await names.forward(look(url="http://localhost", nameserver=server.port)))
    assert "warning: localhost is a short name" in found
    assert any(one.startswith("warning: here localhost is ") for one in found)


async def test_an_address_is_no_name(look: Looking) -> None:
    assert only(await names.forward(look(url="http://127.0.0.1"))).outcome is Outcome.PROBLEM
    with pytest.raises(UnseenError):
        await names.reverse(look(url="http://127.0.0.1"))


async def test_a_server_that_is_silent_is_not_seen(look: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbproxy.control.discovery.dns_query.LIFETIME", 0.1)
    async with serving(lambda query: None) as server:
        with pytest.raises(UnseenError, match="no answer within"):
            await names.forward(look(nameserver=server.port))


@pytest.mark.parametrize(
    ("conf", "outcome"),
    [("rdns = true", Outcome.WARNING), ("rdns = false", Outcome.OK), ("dns_canonicalize_hostname = no", Outcome.OK)],
)
async def test_names_that_lead_back_elsewhere_mislead_who_looks(
    look: Looking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, conf: str, outcome: Outcome
) -> None:
    path = tmp_path / "krb5.conf"
    path.write_text(KRB5.format(conf))
    monkeypatch.setenv("KRB5_CONFIG", str(path))

    def answer(query: dns.message.Message) -> dns.message.Message:
        return records(query, f"{query.question[0].name} 60 IN PTR other.corp.example.")

    async with serving(answer) as server:
        found = list(await names.reverse(look(url="http://localhost", nameserver=server.port)))
    assert {one.outcome for one in found} == {outcome}
    assert "leads back to other.corp.example" in found[0].found


async def test_who_answers_and_whether_it_is_believed(look: Looking, tmp_path: Path) -> None:
    root = Authority.root()
    login = root.server("localhost").write(tmp_path, "login")
    other = root.server("localhost").write(tmp_path, "other")
    listener = f'[listener.login.tls]\ncertificate = "{login.chain}"\nkey = "{login.key}"'
    for shown, more in ((login, []), (other, ["which no listener here has"])):
        async with tls_server(shown) as port:
            sight = look(url=f"https://localhost:{port}", listener=listener)
            found = [one for one in await names.answers(sight) if "127.0.0.1" in one.found]
        assert "certificate refused" in found[0].found
        assert [word in one.found for word, one in zip(more, found[1:], strict=True)] == [True] * len(more)


async def test_one_that_this_host_believes(look: Looking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Authority.root()
    login = root.server("localhost").write(tmp_path, "login")
    monkeypatch.setenv("SSL_CERT_FILE", str(root.write_certificate(tmp_path / "ca.pem")))
    listener = f'[listener.login.tls]\ncertificate = "{login.chain}"\nkey = "{login.key}"'
    async with tls_server(login) as port:
        sight = look(url=f"https://localhost:{port}", listener=listener)
        found = [one for one in await names.answers(sight) if "127.0.0.1" in one.found]
    assert told(found) == [f"ok: 127.0.0.1 port {port}: answers, with a certificate that this host believes"]


async def test_nobody_answers(look: Looking) -> None:
    found = list(await names.answers(look(url="http://localhost:1")))
    assert {one.outcome for one in found} == {Outcome.PROBLEM}
    assert "connection refused" in found[0].found
