"""Fresh tickets of one client connection reach every connector evenly (rule 4)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from lbproxy.demo.realm import Realm

from .answer import Answer
from .conftest import Fleet, Front
from .person import Person
from .place import SERVICE, Place

TICKETS = 300


@pytest.mark.parametrize("kind", ["apache on", "apache off", "sample"])
async def test_tickets_of_one_connection_are_spread(
    fleet: Fleet, front: Front, people: list[Person], kind: str
) -> None:
    balancer = await front(await fleet(kind))
    reached: Counter[str] = Counter()
    async with await balancer.connect() as client:
        for number in range(TICKETS):
            login = people[0].login()
            response = await client.ask(f"/wsfed?{number}", "GET", login.line)
            answer = Answer.of(response)
            assert (answer.user, answer.path) == (people[0].principal, f"/wsfed?{number}")
            assert login.proven(response)
            reached[answer.instance] += 1
    assert reached == {"c1": TICKETS // 3, "c2": TICKETS // 3, "c3": TICKETS // 3}
    assert {record["lane"] for record in await balancer.accessed(TICKETS)} == {"private"}


@pytest.fixture
def wrong_keytab(realm: Realm, tmp_path: Path) -> Path:
    """Of the same principal and version, with another key: that of a realm of the same name."""
    with Realm(tmp_path / "other", realm.name) as other:
        return other.add_service(SERVICE)


@pytest.mark.parametrize("kind", ["apache on", "apache off", "sample"])
async def test_a_refused_ticket_is_followed_nowhere(
    fleet: Fleet, front: Front, place: Place, people: list[Person], wrong_keytab: Path, kind: str
) -> None:
    """One connector's keytab is at fault: the client's next ticket goes to another, which accepts it.

    mod_auth_gssapi sends a token with its refusal: SPNEGO's reject, with Kerberos' error in it.
    """
    balancer = await front(await fleet(kind))
    place.keytab("c2", wrong_keytab)
    answered: Counter[tuple[str, int]] = Counter()
    async with await balancer.connect() as client:
        for number in range(30):
            response = await client.ask(f"/wsfed?{number}", "GET", people[0].login().line)
            [record] = await balancer.accessed(target=f"/wsfed?{number}")
            answered[record["backend"], response.status] += 1
    assert answered == {("c1", 200): 10, ("c2", 401): 10, ("c3", 200): 10}
