import pytest

from bench import heads
from lbproxy.auth.spnego import Credential, classify


@pytest.mark.parametrize(
    ("value", "kind"), [(heads.basic(), Credential.PER_REQUEST), (heads.negotiate(), Credential.KERBEROS)]
)
def test_large_credentials_are_what_they_are_called(value: str, kind: Credential) -> None:
    assert classify(value.encode()) is kind
    assert abs(len(value) - heads.LARGE) < 64


def test_a_head_is_what_is_sent() -> None:
    assert heads.head({"Host": "a", "X": "1"}, "POST", "/64") == b"POST /64 HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n"


def test_a_browser_sends_twelve_headers_in_about_900_bytes() -> None:
    assert len(heads.BROWSER) == 12
    assert 800 < len(heads.head(heads.BROWSER)) < 1000
