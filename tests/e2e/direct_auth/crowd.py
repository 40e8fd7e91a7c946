"""Hundreds of people and strangers at once, while instances are killed; every answer is judged.

Pace       kills one instance after the other, paced by the answers, not by a clock
Visitor    one member's client connections
Crowd      the members: `sign_in` and `lean` are one person's connection, `share` several people's, `peep` nobody's
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ..balancer import Balancer
from ..client import Client
from ..instance import Instance
from ..message import Cut, Response
from ..progress import Progress
from ..reaper import Reaper
from .jury import BAD_TOKEN, PATIENCE, TOKEN, Jury
from .person import Person

VISITS = 20
"""How often each member of the crowd wants to be answered."""

STAY = 5
"""Visits over one connection, before the client makes a new one."""

_TRIES = 25
_GARBAGE = "Authorization: Negotiate YIIB//8="


class Pace:
    """Kills `kills` times, evenly over the crowd's `visits`, and holds back who is ahead."""

    def __init__(self, reaper: Reaper, jury: Jury, kills: int, visits: int) -> None:
        self._reaper = reaper
        self._jury = jury
        self._kills = kills
        self._visits = visits
        self._done = 0
        self._progress = Progress()

    async def run(self) -> None:
        for number in range(self._kills):
            await self._jury.until((2 * number + 1) * self._visits // (2 * self._kills))
            await self._reaper.strike()
            self._done += 1
            self._progress.happened()

    async def hold(self, visit: int) -> None:
        """Before a member's visit number `visit` of VISITS: nobody is further than one kill ahead."""
        due = visit * self._kills // VISITS - 1
        await self._progress.until(lambda: self._done >= due, PATIENCE)


class Visitor:
    """One member of the crowd: a client connection, made anew when it closed and after each STAY."""

    def __init__(self, balancer: Balancer, jury: Jury, name: str) -> None:
        self.name = name
        self._balancer = balancer
        self._jury = jury
        self._client: Client | None = None

    async def ask(self, who: Person | None, asked: str, number: int, *lines: str) -> Response | None:
        """One request, its answer judged; None where the connection ended instead."""
        target = f"/wsfed?{self.name}={number}"
        try:
            if self._client is None:
                self._client = await self._balancer.connect()
            response = await self._client.ask(target, "GET", *lines)
        except (Cut, ConnectionError):
            self._jury.cut[asked] += 1
            await self.leave()
            return None
        self._jury.judge(who, asked, target, response)
        if response.closes:
            await self.leave()
        return response

    async def leave(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


class Crowd:
    """Everybody at once; `run` returns when all have made their visits."""

    def __init__(self, balancer: Balancer, jury: Jury, pace: Pace) -> None:
        self._balancer = balancer
        self._jury = jury
        self._pace = pace

    async def sign_in(self, person: Person) -> None:
        """The token up front: every other request has a fresh one, those between lean on the connection."""
        await self._person(person, token_first=True)

    async def lean(self, person: Person) -> None:
        """The token after a 401 only."""
        await self._person(person, token_first=False)

    async def _person(self, person: Person, token_first: bool) -> None:
        visitor = Visitor(self._balancer, self._jury, person.name)
        for visit in range(VISITS):
            await self._begin(visitor, visit)
            await self._until_answered(visitor, person, visit, token_first and visit % 2 == 0)
            self._jury.visited()
        await visitor.leave()

    async def _until_answered(self, visitor: Visitor, person: Person, visit: int, with_token: bool) -> None:
        for _ in range(_TRIES):
            response = await (self._token(visitor, person, visit) if with_token else self._bare(visitor, person, visit))
            if response is not None and response.status == 200:
                return
            with_token = response is not None and response.status == 401
        self._jury.expect(False, f"{person} was not answered in {_TRIES} tries")

    async def _token(self, visitor: Visitor, person: Person, visit: int) -> Response | None:
        login = person.login()
        response = await visitor.ask(person, TOKEN, visit, login.line)
        if response is not None:
            self._jury.expect(response.status != 401, f"a fresh token of {person} was refused: {response}")
            self._jury.expect(response.status != 200 or login.proven(response), f"no proof for {person}: {response}")
        return response

    async def _bare(self, visitor: Visitor, person: Person, visit: int) -> Response | None:
        return await visitor.ask(person, "the connection", visit)

    async def share(self, people: Sequence[Person], name: str) -> None:
        """People one after the other over one connection, as behind a gateway: the last one who signed in counts."""
        visitor = Visitor(self._balancer, self._jury, name)
        for visit in range(VISITS):
            await self._begin(visitor, visit)
            person = people[visit % len(people)]
            await self._until_answered(visitor, person, visit, with_token=True)
            await self._bare(visitor, person, visit)
            await visitor.ask(None, BAD_TOKEN, visit, person.login().spoiled if visit % 2 else _GARBAGE)
            await visitor.ask(None, "the connection after a bad token", visit)
            self._jury.visited()
        await visitor.leave()

    async def peep(self, name: str, *lines: str) -> None:
        """A stranger: no credentials, or others than these connectors take."""
        visitor = Visitor(self._balancer, self._jury, name)
        for visit in range(VISITS):
            await self._begin(visitor, visit)
            for _ in range(STAY):
                await visitor.ask(None, "no credentials", visit, *lines)
            self._jury.visited()
        await visitor.leave()

    async def _begin(self, visitor: Visitor, visit: int) -> None:
        await self._pace.hold(visit)
        if visit % STAY == 0:
            await visitor.leave()


async def gather(balancer: Balancer, fleet: Sequence[Instance], people: Sequence[Person], kills: int) -> Jury:
    """Everybody in `people`, and a tenth as many strangers, visit through `balancer`; returns the verdict."""
    jury = Jury(people[0].realm)
    strangers = len(people) // 10
    sharers = len(people) // 20
    visits = VISITS * (len(people) + strangers + sharers)
    pace = Pace(Reaper(balancer, fleet), jury, kills, visits)
    crowd = Crowd(balancer, jury, pace)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        group.create_task(pace.run())
        for number, person in enumerate(people):
            group.create_task(crowd.lean(person) if number % 2 else crowd.sign_in(person))
        for number in range(sharers):
            group.create_task(crowd.share(people[number::sharers], f"gateway{number}"))
        for number in range(strangers):
            lines = ["Authorization: Basic dXNlcjA6cGFzc3dvcmQ="] if number % 3 == 2 else []
            group.create_task(crowd.peep(f"stranger{number}", *lines))
    return jury
