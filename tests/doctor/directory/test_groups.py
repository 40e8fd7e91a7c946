from __future__ import annotations

from pathlib import Path

import pytest

from lbproxy.doctor.directory.groups import Groups, groups_of, largest
from lbproxy.doctor.directory.session import Simple, session
from tests.doctor.directory.slapd import BASE, PASSWORD, USER, running, user
from tests.pki import Authority

OWN = Simple(USER, PASSWORD)


@pytest.mark.parametrize(
    ("own", "other", "measured"),
    [(3, 0, 1892), (400, 0, 6088), (1000, 0, 12528), (0, 400, 23180), (0, 1000, 55192), (0, 1600, 87192)],
)
def test_the_size_is_what_a_real_directory_made(own: int, other: int, measured: int) -> None:
    assert Groups("user", own, other).header == pytest.approx(measured, rel=0.03)


def test_the_user_in_the_most_groups(tmp_path: Path) -> None:
    entries = user("alice", groups=2) + user("bob", groups=40) + user("carol")
    with running(tmp_path / "ldap", Authority.root(), entries) as one, session(one.url, OWN) as directory:
        assert largest(directory, BASE) == (Groups("bob", 40, 0), 2, True)
        assert groups_of(directory, BASE, "CN=nobody,DC=corp,DC=example", "nobody") == Groups("nobody", 0, 0)
