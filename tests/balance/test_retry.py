from __future__ import annotations

import pytest

from lbproxy.balance.retry import replayable


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", b"GET", b"HEAD", b"OPTIONS"], ids=repr)
def test_a_safe_request_is_replayable_unless_it_has_a_body_or_a_token(method: str | bytes) -> None:
    assert replayable(method, has_body=False, has_connection_token=False)
    assert not replayable(method, has_body=True, has_connection_token=False)
    assert not replayable(method, has_body=False, has_connection_token=True)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "get", "", b"POST", b"G\xc9T"], ids=repr)
def test_any_other_method_is_not(method: str | bytes) -> None:
    assert not replayable(method, has_body=False, has_connection_token=False)
