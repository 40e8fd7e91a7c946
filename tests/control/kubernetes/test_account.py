from __future__ import annotations

import os
import ssl
import stat
from pathlib import Path

import pytest

from lbproxy.control.kubernetes.account import PodAccount, tls_context
from lbproxy.control.kubernetes.errors import AccountError
from tests.control.kubernetes.api_server import ApiServer
from tests.pki import Authority, pem


async def test_a_pod_has_its_account_mounted(account: PodAccount, server: ApiServer) -> None:
    found = await account.access()
    assert (found.server, found.authorization) == (server.url, f"Bearer {server.token}")
    assert await account.namespace() == "login"
    assert server.token not in repr(found) + repr(account) + account.where


async def test_an_address_of_ipv6(mounted: Path) -> None:
    account = PodAccount(mounted, {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"})
    assert (await account.access()).server == "https://[fd00::1]:443"


async def test_a_token_that_was_replaced_is_read(account: PodAccount, mounted: Path) -> None:
    await account.access()
    (mounted / "new").write_text("another")
    (mounted / "new").rename(mounted / "token")
    assert (await account.access()).authorization == "Bearer another"


async def test_authorities_that_were_replaced_are_read(account: PodAccount, mounted: Path) -> None:
    first = (await account.access()).tls
    assert (await account.access()).tls is first
    other = Authority.root("other")
    other.write_certificate(mounted / "ca.crt")
    second = (await account.access()).tls
    assert second is not None
    assert [one["subject"] for one in second.get_ca_certs()] == [((("commonName", "other"),),)]


@pytest.mark.parametrize("name", ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"])
async def test_elsewhere_there_is_none(name: str, mounted: Path, server: ApiServer) -> None:
    with pytest.raises(AccountError, match=r"^this is not a pod: KUBERNETES_SERVICE_HOST and _PORT are not set; set k"):
        await PodAccount(mounted, {**server.mount(mounted), name: ""}).access()


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("token", None, "token: No such file or directory; the pod needs automountServiceAccountToken"),
        ("token", b"", "token: this is no token"),
        ("token", b"se cret", "token: this is no token"),
        ("token", b"se\r\nX-Evil: secret", "token: this is no token"),
        ("token", b"\xffsecret", "token: this is no token"),
        ("ca.crt", None, "ca.crt: No such file or directory"),
        ("ca.crt", b"", "ca.crt: there is no usable certificate in it"),
        ("ca.crt", b"\xff", "ca.crt: there is no usable certificate in it"),
    ],
)
async def test_what_is_mounted_and_of_no_use(
    name: str, content: bytes | None, problem: str, account: PodAccount, mounted: Path
) -> None:
    (mounted / name).unlink()
    if content is not None:
        (mounted / name).write_bytes(content)
    with pytest.raises(AccountError) as error:
        await account.access()
    assert problem in str(error.value)
    assert "secret" not in str(error.value)


async def test_a_fifo_does_not_stop_everything(account: PodAccount, mounted: Path) -> None:
    (mounted / "token").unlink()
    os.mkfifo(mounted / "token", stat.S_IRUSR | stat.S_IWUSR)
    with pytest.raises(AccountError, match="not a regular file"):
        await account.access()


def test_certificates_are_verified_without_the_extensions_that_clusters_leave_out() -> None:
    context = tls_context(pem(Authority.root("kubernetes").certificate).decode())
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT, "the default of Python 3.13"
