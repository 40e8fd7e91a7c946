"""What a proxy has to tell about itself to be measured."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from bench.load.scenario import Scenario
from bench.load.site import Site
from bench.processes import Child, accepts


class Peer(Protocol):
    """A proxy in its usual setting, with what every other one does too:

    round robin over the site's backends, client and upstream connections kept, Host passed on, X-Forwarded-For and
    -Proto set, one thread of work, the access log off unless the scenario has it, and then with the same fields.
    """

    @property
    def name(self) -> str: ...

    def lacks(self, scenario: Scenario) -> str:
        """What `scenario` needs and this proxy has not, in a few words; "" when it can serve it."""
        return ""

    def version(self) -> str:
        """Name and version, as the program says them."""

    def command(self, site: Site) -> list[str | Path]:
        """Write the configuration for `site` and return the command that serves it, in the foreground."""

    def ready(self, site: Site, child: Child) -> bool:
        """Whether it serves. Asked again and again while `child` starts."""
        return accepts(site.port)
