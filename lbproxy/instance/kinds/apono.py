"""Apono's connector: its variables, or the values of its Helm chart.

Its instances share the connector ID, which is APONO_CONNECTOR_ID, apono.connectorId or connectorId, and must have one
version: the image's tag in the values, or what --connector-version says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lbproxy.errors import InstanceError, MissingExtraError
from lbproxy.instance import environment, reading
from lbproxy.instance.model import Area, File, Findings, Instance, Openness, Value, Where, fact_file, find

_IDS = ("APONO_CONNECTOR_ID", "apono.connectorId", "connectorId")
_TOKENS = ("APONO_TOKEN", "apono.token", "token")
_VERSIONS = ("image.tag", "apono.image.tag")

_LARGEST = 1024 * 1024  # bytes of values: YAML takes seconds for a megabyte

_DEFAULT = {Area.ENVIRONMENT: ".env", Area.VALUES: "values.yaml"}
"""Where they are in the directory, if it is not said."""


class Apono:
    """See `Kind`."""

    name = "apono"
    aspects = {  # noqa: RUF012  # a constant
        "connector_id": "Apono takes the instances for two connectors: an integration reaches only one of them.",
        "version": "Apono wants one version on all instances of a connector; requests may fail on the older one.",
        "token": "One instance cannot sign in at Apono, or belongs to another account.",
        "settings": "The instances work in different ways.",
    }
    parts: dict[str, str] = {}  # noqa: RUF012

    def gather(self, where: Where, new: bool = False) -> list[File]:
        """See `Kind`."""
        found = [fact_file("version", where.version)] if where.version else []
        for area in _DEFAULT:
            path = _path(area, where)
            named = where.environment if area is Area.ENVIRONMENT else where.values
            if path.exists() or (named is not None and not new):
                found.append(reading.alone(path, area, secret=True))
        if not new and not any(file.area in _DEFAULT for file in found):
            raise InstanceError(
                f"{where.directory}: has neither .env nor values.yaml; name one by --environment or --values"
            )
        return found

    def understand(self, files: Sequence[File]) -> Instance:
        """See `Kind`."""
        settings = _settings(files)
        ids = {settings[name] for name in _IDS if settings.get(name)}
        token = next((settings[name] for name in _TOKENS if settings.get(name)), "")
        told = find(files, Area.PROGRAM, "version")
        version = (
            told.content.decode() if told else next((settings[name] for name in _VERSIONS if settings.get(name)), "")
        )
        apart = {*_IDS, *_TOKENS, *_VERSIONS}
        values = {
            "connector_id": {"connectorId": Value(",".join(sorted(ids)), Openness.PUBLIC)},
            "version": {"version": Value(version, Openness.PUBLIC)},
            "token": {"token": Value(token)},
            "settings": {name: Value(value) for name, value in sorted(settings.items()) if name not in apart},
        }
        problems = []
        if len(ids) != 1:
            wrong = "are different" if ids else "are all missing"
            problems.append(f"{', '.join(_IDS)}: {wrong}; the connector needs one ID")
        if not version:
            problems.append("the version is not known: the values have no image.tag; add --connector-version VERSION")
        return Instance(self.name, values, files, token.encode() or None, problems)

    def adapt(self, packed: Sequence[File], here: Sequence[File], port: int | None) -> list[File]:
        """See `Kind`."""
        return [file for file in packed if file.area is not Area.PROGRAM]

    def inspect(self, where: Where, files: Sequence[File]) -> Findings:
        """See `Kind`."""
        return Findings()

    def port(self, files: Sequence[File]) -> int | None:
        """See `Kind`."""
        return None

    def place(self, file: File, where: Where, files: Sequence[File]) -> Path:
        """See `Kind`."""
        if file.area in _DEFAULT and not file.path:
            return _path(file.area, where)
        raise InstanceError(f"{file}: is no file of a connector that a pack may have")


def _path(area: Area, where: Where) -> Path:
    named = where.environment if area is Area.ENVIRONMENT else where.values
    return named or where.directory / _DEFAULT[area]


def _settings(files: Sequence[File]) -> dict[str, str]:
    """All of them by name; those of the values by path, as in apono.connectorId."""
    found: dict[str, str] = {}
    for file in files:
        if file.area is Area.ENVIRONMENT:
            found |= environment.parse(file.content, "the environment")
        elif file.area is Area.VALUES:
            found |= dict(_leaves(_yaml(file.content), ""))
    return found


def _yaml(content: bytes) -> Any:
    """YAML 1.1, which JSON nearly is, without aliases: a few of them can stand for gigabytes. Raises InstanceError."""
    try:
        import yaml
    except ImportError:
        raise MissingExtraError("a file of Helm values", "instance") from None

    if len(content) > _LARGEST:
        raise InstanceError("the values: are larger than 1 MiB")
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(content, Loader=yaml.SafeLoader)):
            raise InstanceError("the values: have aliases (*), which are not read here")
        found = yaml.safe_load(content)
        json.dumps(found, ensure_ascii=False, skipkeys=True, default=str).encode()  # half a character cannot be written
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise InstanceError(f"the values{place}: are not YAML") from None
    if not isinstance(found, dict):
        raise InstanceError("the values: are not a table")
    return found


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inside in value.items():
            yield from _leaves(inside, f"{path}.{name}" if path else str(name))
    else:
        yield path, value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
