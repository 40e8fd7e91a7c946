from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lbproxy.control.kubernetes import Api
from lbproxy.control.kubernetes.account import Access
from lbproxy.control.kubernetes.errors import AccountError
from lbproxy.control.kubernetes.kubeconfig import Kubeconfig
from tests.control.kubernetes.api_server import PATH, ApiServer

WHERE = PATH.format(namespace="login")


async def ask(account: Kubeconfig) -> dict[str, Any]:
    api = Api(account)
    try:
        return await api.get(WHERE, {})
    finally:
        await api.close()


async def test_a_token(server: ApiServer, tmp_path: Path) -> None:
    account = Kubeconfig(server.kubeconfig(tmp_path / "config"))
    assert (await ask(account))["kind"] == "EndpointSliceList"
    assert await account.namespace() == "login"
    assert server.token not in repr(account) + repr(await account.access())


async def test_a_token_in_a_file_that_is_replaced(server: ApiServer, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(server.token)
    account = Kubeconfig(server.kubeconfig(tmp_path / "config", tokenFile="token"))
    await ask(account)
    server.token = "secret-token-2"
    (tmp_path / "token").write_text(server.token)
    await ask(account)
    assert [one.token for one in server.asked] == ["secret-token-1", "secret-token-1", "secret-token-2"]


async def test_a_token_file_that_is_not_there(server: ApiServer, tmp_path: Path) -> None:
    path = server.kubeconfig(tmp_path / "config", tokenFile="token")
    with pytest.raises(AccountError) as error:
        await Kubeconfig(path).access()
    assert str(error.value) == f"{path}: {tmp_path}/token: No such file or directory"


async def test_a_program_that_makes_tokens(server: ApiServer, tmp_path: Path) -> None:
    program = tmp_path / "login.py"
    told = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": server.token},
    }
    program.write_text(f"import json; print(json.dumps({told!r}))")
    exec_ = {"apiVersion": "client.authentication.k8s.io/v1", "command": sys.executable, "args": [str(program)]}
    await ask(Kubeconfig(server.kubeconfig(tmp_path / "config", exec=exec_)))
    assert server.asked[-1].token == server.token


async def test_authorities_in_the_file_itself_and_another_server_name(server: ApiServer, tmp_path: Path) -> None:
    path = server.kubeconfig(tmp_path / "config")
    content = yaml.safe_load(path.read_text())
    content["clusters"][0]["cluster"] = {
        "server": server.url + "/",
        "certificate-authority-data": base64.b64encode(server.ca.read_bytes()).decode(),
        "tls-server-name": "kubernetes.test",
    }
    del content["contexts"][0]["context"]["namespace"]
    path.write_text(yaml.safe_dump(content))
    account = Kubeconfig(path)
    await ask(account)
    assert await account.namespace() == "default"
    assert (await account.access()).server == server.url


async def test_a_server_without_tls_and_a_context_without_a_user(tmp_path: Path) -> None:
    """As `kubectl proxy` serves it."""
    path = tmp_path / "config"
    path.write_text(
        "{current-context: c, contexts: [{name: c, context: {cluster: k}}],"
        " clusters: [{name: k, cluster: {server: 'http://127.0.0.1:8001'}}]}"
    )
    assert await Kubeconfig(path).access() == Access("http://127.0.0.1:8001")


async def test_a_server_that_nobody_vouches_for(server: ApiServer, tmp_path: Path) -> None:
    path = server.kubeconfig(tmp_path / "config")
    content = yaml.safe_load(path.read_text())
    del content["clusters"][0]["cluster"]["certificate-authority"]
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(Exception, match="certificate"):
        await ask(Kubeconfig(path))
    content["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = True
    path.write_text(yaml.safe_dump(content))
    await ask(Kubeconfig(path))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "No such file or directory"),
        ("", "it is not a usable kubeconfig"),
        ("[1, secret]", "it is not a usable kubeconfig"),
        ("a: b: secret", "it is not a usable kubeconfig"),
        ("users: [{name: u, token: secret}]", "Invalid kube-config file. Expected key current-context"),
        (
            "{current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}], clusters: [{name: k}],"
            " users: [{name: u, token: secret}]}",
            "Invalid kube-config file. Expected key user",
        ),
        (
            "{current-context: d, contexts: [{name: c, context: {cluster: k, user: secret}}]}",
            "Invalid kube-config file. Expected object with name d",
        ),
    ],
)
async def test_files_that_are_of_no_use(content: str | None, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    with pytest.raises(AccountError) as error:
        await Kubeconfig(path).access()
    assert str(error.value).startswith(f"{path}: {problem}")
    assert "secret" not in str(error.value)


def test_without_the_library_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['kubernetes_asyncio'] = None\n"
        "from lbproxy.errors import MissingExtraError\n"
        "try: import lbproxy.control.kubernetes.kubeconfig\n"
        "except MissingExtraError as error: print(error)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == "kubeconfig needs an optional part: install lbproxy[kubernetes]\n"
