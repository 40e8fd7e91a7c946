from __future__ import annotations

import pytest

from lbproxy.control.kubernetes.errors import (
    AccountError,
    ExpiredError,
    KubernetesError,
    RefusedError,
    UnavailableError,
)
from lbproxy.errors import LbproxyError


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("https://k", "why", 3.0),
        RefusedError("https://k", 403, "why"),
        ExpiredError("https://k", "why"),
    ],
)
def test_each_says_which_server_and_why(error: KubernetesError) -> None:
    assert str(error) == "https://k: why"
    assert isinstance(error, KubernetesError)
    assert error.retry_after == (3.0 if isinstance(error, UnavailableError) else 0.0)


def test_an_account_has_no_server() -> None:
    assert str(AccountError("token: why")) == "token: why"
    assert issubclass(KubernetesError, LbproxyError)
