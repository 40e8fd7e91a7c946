"""What the checks of a connector look at: its installation, and the settings that it goes by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lbproxy.doctor.finding import UnseenError
from lbproxy.doctor.once import in_thread
from lbproxy.errors import InstanceError
from lbproxy.instance import environment
from lbproxy.instance.kinds import load
from lbproxy.instance.kinds.auth0_settings import effective, read_config, text
from lbproxy.instance.model import Area, File, Instance, Where, find


@dataclass(frozen=True, slots=True)
class Asked:
    """What the administrator wants looked at.

    server_url: of the balancer; "" is not known. unit: the file of the service's systemd unit; None is found by its
    process. beside: another instance (a directory, a pack, or facts) that it is to be like; "" is none.
    """

    kind: str
    where: Where
    server_url: str = ""
    unit: Path | None = None
    beside: str = ""


class Sight:
    """See `Asked`."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self._instance = in_thread(partial(load, asked.kind, asked.where))

    async def instance(self) -> Instance:
        """Raises InstanceError."""
        return await self._instance.get()

    async def settings(self) -> Settings:
        """Of an Auth0 connector. Raises UnseenError if its files cannot be read, of which another check tells."""
        try:
            return Settings.of((await self.instance()).files)
        except InstanceError:
            raise UnseenError("the settings of the connector cannot be read") from None


class Settings:
    """What an Auth0 connector goes by."""

    def __init__(self, values: Mapping[str, Any], files: Sequence[File]) -> None:
        self.values = values
        self.files = files

    @classmethod
    def of(cls, files: Sequence[File]) -> Settings:
        """Raises InstanceError."""
        config, variables = find(files, Area.INSTANCE, "config.json"), find(files, Area.ENVIRONMENT)
        return cls(
            effective(
                {} if config is None else read_config(config.content),
                {} if variables is None else environment.parse(variables.content, "the environment"),
            ),
            files,
        )

    def text(self, name: str) -> str:
        """As the connector sees it; "" is unset."""
        return text(self.values.get(name))

    @property
    def port(self) -> int:
        """Raises UnseenError."""
        word = self.text("PORT")
        if not word.isdecimal() or not 0 < int(word) < 65536:
            raise UnseenError(f"PORT is no port: {word!r}")
        return int(word)

    @property
    def believes_headers(self) -> bool:
        """Whether it takes the name of the user out of a header that anybody can write who reaches PORT."""
        return bool(self.text("WITH_KERBEROS_PROXY_FRONTEND") or self.text("KERBEROS_AUTH"))
