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


def test_each_user_has_a_token_of_his_own() -> None:
    parts = heads.negotiate_parts()
    tokens = [heads.own_token(parts, number) for number in (0, 1, 16**heads.MARK - 1)]
    assert len(set(tokens)) == 3
    assert {classify(token.encode()) for token in tokens} == {Credential.KERBEROS}
    assert {len(token) for token in tokens} == {len(heads.negotiate())}
    assert all(token.startswith(parts[0]) and heads.negotiate().startswith(parts[0]) for token in tokens)
