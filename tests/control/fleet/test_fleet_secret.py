from __future__ import annotations

import os

import pytest

from lbproxy.control.fleet.fleet_secret import FleetSecret

SECRET = os.urandom(64)


def test_what_is_sealed_opens_at_its_place_under_the_same_secret() -> None:
    sealed = FleetSecret("login", SECRET).seal(b"plain", "/a")
    assert b"plain" not in sealed
    assert FleetSecret("login", SECRET).open(sealed, "/a") == b"plain"
    assert FleetSecret("login", SECRET).seal(b"plain", "/a") != sealed


@pytest.mark.parametrize(
    ("fleet", "secret", "place"),
    [("other", SECRET, "/a"), ("login", os.urandom(64), "/a"), ("login", SECRET, "/b")],
    ids=["another fleet", "another secret", "another place"],
)
def test_it_opens_nowhere_else(fleet: str, secret: bytes, place: str) -> None:
    sealed = FleetSecret("login", SECRET).seal(b"plain", "/a")
    with pytest.raises(ValueError, match="cannot be decrypted"):
        FleetSecret(fleet, secret).open(sealed, place)


@pytest.mark.parametrize("cut", [0, 5, 12, 20])
def test_what_was_cut_or_changed_does_not_open(cut: int) -> None:
    secret = FleetSecret("login", SECRET)
    sealed = secret.seal(b"plain", "/a")
    with pytest.raises(ValueError, match="cannot be decrypted"):
        secret.open(sealed[:cut], "/a")
    with pytest.raises(ValueError, match="cannot be decrypted"):
        secret.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), "/a")


def test_a_mark_tells_secrets_apart_and_nothing_else() -> None:
    own, other = FleetSecret("login", SECRET), FleetSecret("login", os.urandom(64))
    assert own.mark == FleetSecret("login", SECRET).mark
    assert len({own.mark, other.mark, FleetSecret("sso", SECRET).mark}) == 3
    assert repr(own) == f"<fleet secret {own.mark}>"
    assert own.mark not in SECRET.hex()
