"""[admin.web] over real TLS, with real passwords and certificates; tickets are in tests/e2e."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from lbproxy.dashboard import web
from lbproxy.dashboard.attempts import Attempts
from lbproxy.dashboard.balancer import Balancer
from lbproxy.dashboard.web import COOKIE, Web, is_ours
from tests.pki import Authority

from .browsing import fields
from .conftest import Site
from .site import PASSWORD, make_files, settings


class Served:
    """The dashboard, and browsers of its."""

    def __init__(self, one: Web, port: int, trust: ssl.SSLContext, folder: Path) -> None:
        self.web = one
        self.origin = f"https://127.0.0.1:{port}"
        self.trust = trust
        self.folder = folder

    def allow(self, **failures: int) -> None:
        """So many: see `Attempts`."""
        self.web.sign_in._attempts = Attempts(time.monotonic, **failures)

    def browser(self, certificate: str = "") -> aiohttp.ClientSession:
        """certificate: the name of a client certificate."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        if certificate:
            context.load_cert_chain(self.folder / f"{certificate}.pem", self.folder / f"{certificate}.key")
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context), cookie_jar=aiohttp.CookieJar(unsafe=True)
        )

    async def sign_in(
        self, browser: aiohttp.ClientSession, name: str, password: str = PASSWORD, next_: str = ""
    ) -> tuple[int, str, str]:
        """The status, where to, and the page."""
        async with browser.post(
            f"{self.origin}/sign-in", params={"next": next_} if next_ else {},
            data={"name": name, "password": password},
            headers={"Origin": self.origin}, allow_redirects=False,
        ) as answer:  # fmt: skip
            return answer.status, answer.headers.get("Location", ""), await answer.text()

    async def get(self, browser: aiohttp.ClientSession, path: str) -> tuple[int, str, str]:
        async with browser.get(f"{self.origin}{path}", allow_redirects=False) as answer:
            return answer.status, answer.headers.get("Location", ""), await answer.text()


@pytest.fixture
async def served(site: Site, balancer: Balancer, tmp_path: Path) -> AsyncIterator[Served]:
    trust = make_files(tmp_path)
    sock = socket.create_server(("127.0.0.1", 0))
    one = Web(settings(tmp_path), balancer, sock)
    await one.server.start()
    yield Served(one, sock.getsockname()[1], trust, tmp_path)
    await one.server.stop()


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """The events that the generation is told."""
    return [one for line in capsys.readouterr().out.splitlines() if "event" in (one := json.loads(line))]


async def test_a_password_opens_it(served: Served, site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    async with served.browser() as browser:
        assert await served.get(browser, "/pools/connectors") == (303, "/sign-in?next=pools%2Fconnectors", "")
        assert (await served.sign_in(browser, "olga", next_="pools/connectors"))[:2] == (303, "/pools/connectors")
        status, _, html = await served.get(browser, "/pools/connectors/c1/drain")
        assert (status, "olga, operator" in html) == (200, True)
        async with browser.post(
            f"{served.origin}/pools/connectors/c1/drain", data=fields(html), headers={"Origin": served.origin}
        ) as answer:
            assert answer.status == 200
    assert site.backends.by[0].startswith("olga via ")
    [event] = told(capsys)
    assert event == {
        "event": "signed_in", "warning": False,
        "fields": {"how": "password", "address": "127.0.0.1", "user": "olga", "role": "operator"},
    }  # fmt: skip


async def test_a_session_of_before_is_worth_nothing_after(served: Served) -> None:
    async with served.browser() as browser:
        browser.cookie_jar.update_cookies({COOKIE: "fixed"}, URL(served.origin))
        await served.sign_in(browser, "vera")
        [first] = [one.value for one in browser.cookie_jar if one.key == COOKIE]
        assert first != "fixed"
        await served.sign_in(browser, "olga")
        [second] = [one.value for one in browser.cookie_jar if one.key == COOKIE]
    assert second != first
    assert served.web.sessions.find(first) is None
    assert served.web.sessions.find(second) is not None


@pytest.mark.parametrize(
    "next_",
    [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "\\\\evil",
        "%2f%2fevil.example",
        "sign-out",
        "x\r\nSet-Cookie: a=b",
    ],
)
async def test_signing_in_leads_nowhere_else(served: Served, next_: str) -> None:
    async with served.browser() as browser:
        assert (await served.sign_in(browser, "olga", next_=next_))[:2] == (303, "/")


async def test_what_is_wrong_is_not_told_apart_and_no_unknown_name_is_logged(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    async with served.browser() as browser:
        wrong = await served.sign_in(browser, "olga", "wrong")
        unknown = await served.sign_in(browser, "my-own-passw0rd", "olga")
        assert wrong == unknown
        assert wrong[0] == 401
        assert not [one for one in browser.cookie_jar if one.key == COOKIE]
    text = json.dumps(told(capsys))
    assert "wrong name or password" in text
    assert '"user": "olga"' in text
    assert "my-own-passw0rd" not in text


async def test_who_has_no_role_is_not_admitted(served: Served) -> None:
    async with served.browser() as browser:
        status, _, html = await served.sign_in(browser, "otto")
        assert (status, "You are otto. Neither viewers nor operators" in html) == (403, True)
        assert (await served.get(browser, "/"))[0] == 303


async def test_too_many_attempts_are_not_looked_at(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    served.allow(of_address=2)
    async with served.browser() as browser:
        for _ in range(2):
            assert (await served.sign_in(browser, "olga", "wrong"))[0] == 401
        status, _, html = await served.sign_in(browser, "olga")
        assert (status, "Try again in 10 minutes." in html) == (429, True)
    assert "sign_in_limited" in json.dumps(told(capsys))


async def test_many_attempts_at_once_are_no_way_around_the_limit(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each was looked at before the one in front of it had failed."""
    served.allow(of_address=3)
    async with served.browser() as browser:
        found = await asyncio.gather(*(served.sign_in(browser, "olga", "wrong") for _ in range(8)))
    assert sorted(status for status, _, _ in found) == [401] * 3 + [429] * 5
    assert json.dumps(told(capsys)).count("sign_in_limited") == 1, "a flood of attempts is none of the log"


async def test_a_limit_does_not_tell_whether_there_is_such_a_name(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    served.allow(of_name=2)
    async with served.browser() as browser:
        for name in ("olga", "nobody"):
            assert [(await served.sign_in(browser, name, "wrong"))[0] for _ in range(3)] == [401, 401, 429]
    assert "nobody" not in json.dumps(told(capsys))


async def test_who_is_no_longer_in_the_file_of_passwords_is_signed_out(served: Served, balancer: Balancer) -> None:
    async with served.browser() as browser, served.browser() as other:
        await served.sign_in(browser, "olga")
        await served.sign_in(other, "vera")
        left = served.web.sessions.export()
        path = served.folder / "passwd"
        kept = [line for line in path.read_text().splitlines(keepends=True) if not line.startswith("olga:")]
        path.write_text("".join(kept))
        served.web.look_at_passwords()
        assert (await served.get(browser, "/"))[0] == 303
        assert (await served.get(other, "/"))[0] == 200
    with socket.create_server(("127.0.0.1", 0)) as sock:
        after = Web(settings(served.folder, sessions=left), balancer, sock)
        assert [one["user"] for one in after.sessions.export()] == ["vera"]


async def test_another_site_cannot_have_a_browser_sign_in(served: Served) -> None:
    """An image of another page would use up the attempts of this address, or sign its user in anew."""
    async with served.browser("olga-ops") as browser:
        for site in ("cross-site", "same-site"):
            async with browser.get(
                f"{served.origin}/sign-in/certificate?next=events",
                headers={"Sec-Fetch-Site": site},
                allow_redirects=False,
            ) as answer:
                assert (answer.status, answer.headers["Location"]) == (303, "/sign-in?next=events")
        assert (await served.get(browser, "/"))[0] == 303


async def test_a_name_that_cannot_be_logged_is_not_admitted(
    served: Served, balancer: Balancer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The name goes into a header and into the log with each order."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        anybody = Web(settings(served.folder, operators=["*"]), balancer, sock)
        await anybody.server.start()
        port = sock.getsockname()[1]
        async with (
            served.browser("odd") as browser,
            browser.get(f"https://127.0.0.1:{port}/sign-in/certificate", allow_redirects=False) as answer,
        ):
            assert (answer.status, "cannot be shown" in await answer.text()) == (403, True)
        await anybody.server.stop()
    [event] = told(capsys)
    assert event["event"] == "sign_in_failed"


async def test_a_form_of_another_site_signs_nobody_in(served: Served) -> None:
    async with (
        served.browser() as browser,
        browser.post(
            f"{served.origin}/sign-in",
            data={"name": "olga", "password": PASSWORD},
            headers={"Origin": "https://evil.example"},
        ) as answer,
    ):
        assert answer.status == 403


async def test_a_certificate_opens_it(served: Served) -> None:
    async with served.browser("olga-ops") as browser:
        assert (await served.get(browser, "/sign-in/certificate?next=events"))[:2] == (303, "/events")
        assert "CN=Olga Ops, operator" in (await served.get(browser, "/"))[2]
    async with served.browser() as browser:
        status, _, html = await served.get(browser, "/sign-in/certificate")
        assert (status, "Your browser has shown no certificate." in html) == (401, True)
    async with served.browser("stranger") as browser:
        with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
            await served.get(browser, "/sign-in/certificate")


async def test_the_cookie_is_of_this_host_alone_and_pages_name_no_other(served: Served) -> None:
    async with served.browser() as browser:
        async with browser.post(
            f"{served.origin}/sign-in", data={"name": "olga", "password": PASSWORD},
            headers={"Origin": served.origin}, allow_redirects=False,
        ) as answer:  # fmt: skip
            cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        assert cookie.endswith("; HttpOnly; Path=/; SameSite=Lax; Secure")
        async with browser.get(f"{served.origin}/", headers={"Host": "evil.example"}) as answer:
            assert answer.status == 421
        assert (await served.get(browser, "/sign-in/kerberos"))[0] == 404, "it is not offered"


async def test_sessions_go_on_in_the_next_process_with_the_role_of_then(
    served: Served, balancer: Balancer, tmp_path: Path
) -> None:
    async with served.browser() as browser:
        await served.sign_in(browser, "olga")
        [token] = [one.value for one in browser.cookie_jar if one.key == COOKIE]
    left = served.web.sessions.export()
    for operators, role in ((["olga"], "operator"), ([], "viewer")):
        with socket.create_server(("127.0.0.1", 0)) as sock:
            after = Web(settings(tmp_path, sessions=left, viewers=["olga"], operators=operators), balancer, sock)
            found = after.sessions.find(token)
            assert found is not None
            assert found.role == role
    with socket.create_server(("127.0.0.1", 0)) as sock:
        assert Web(settings(tmp_path, sessions=left, operators=[]), balancer, sock).sessions.find(token) is None


async def test_new_files_end_the_process_once_they_can_be_used(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(web, "_LOOK_EVERY", 0.01)
    served.web.say_tls()
    [said] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(kind, Path(path).name) for kind, path, _, _ in said["tls"]["expiries"]] == [
        ("certificate", "web.pem"),
        ("client_ca", "ca.pem"),
    ]
    assert said["tls"]["refused"] is None
    changed = asyncio.ensure_future(served.web.changed())
    good = (tmp_path / "web.pem").read_text()
    (tmp_path / "web.pem").write_text("broken")
    heard = ""
    async with asyncio.timeout(20):
        while '"refused": {' not in heard:
            await asyncio.sleep(0.01)
            heard += capsys.readouterr().out
    assert "dashboard_files_refused" in heard
    assert not changed.done()
    refused = json.loads(heard.splitlines()[-1])["tls"]
    assert refused["expiries"] == said["tls"]["expiries"], "what is in use"
    assert str(tmp_path / "web.pem") in refused["refused"]["why"]
    (tmp_path / "web.pem").write_text(good)
    async with asyncio.timeout(20):
        await changed


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("admin.corp.example", True),
        ("admin.corp.example:9443", True),
        ("192.0.2.7:9443", True),
        ("[2001:db8::1]:443", True),
        ("[2001:db8::1]", True),
        ("x.wild.example", True),
        ("evil.example", False),
        ("evil@admin.corp.example", False),
        ("admin.corp.example:x", False),
        ("admin.corp.example.", False),
        ("a.b.wild.example", False),
        ("", False),
        (":443", False),
    ],
)
def test_a_host_is_ours_if_the_certificate_is_for_it(host: str, ours: bool) -> None:
    names = ("admin.corp.example", "*.wild.example", "192.0.2.7", "2001:db8::1")
    assert is_ours(Authority.root().server(*names).certificate, host) is ours


@pytest.mark.parametrize("name", ["markupsafe", "aiohttp_sse"])
def test_its_process_says_in_a_line_what_is_not_installed(name: str) -> None:
    code = f"import runpy, sys; sys.modules[{name!r}] = None; runpy.run_module('lbproxy.dashboard')"
    done = subprocess.run([sys.executable, "-c", code, "3"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    said = f"lbproxy: error: admin.web: the dashboard needs an optional part: install lbproxy[dashboard] ({name})\n"
    assert (done.returncode, done.stderr) == (1, said)
