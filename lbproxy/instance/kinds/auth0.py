"""The Auth0 AD/LDAP connector: its install folder, with config.json, the mapper, certs/, views/ and public/.

What it does with them was read in its source (6015b9c), and seen in trials with a real one:

- The environment overrides config.json. PORT is each instance's own.
- At its start it posts SERVER_URL and certs/cert.pem to the tenant, encrypts the LDAP password under certs/cert.key,
  and writes config.json again. Without certs/cert.key it makes a key of its own, whose tokens only it can sign.
- It writes certs/ in the working directory, and reads it in the install folder.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from lbproxy.errors import InstanceError
from lbproxy.instance import digests, environment, processes, reading
from lbproxy.instance.kinds.auth0_meaning import ASPECTS, PARTS, Meaning
from lbproxy.instance.kinds.auth0_settings import (
    MAPPER,
    OF_THE_HOST,
    OWN,
    effective,
    mapper_path,
    of_connector,
    read_config,
    text,
)
from lbproxy.instance.model import Area, File, Findings, Instance, Where, fact_file, find

CONFIG = "config.json"
_TREES = ("certs", "views", "public")
_PROGRAM = ("lib", "connector-setup")
_PACKAGE = "ad-ldap-connector"
_MOST_REPEATED = (
    3  # parts of SSL_CA_FILE that repeat: with n of them a name of 255 characters takes 255^n steps at worst
)


class Auth0:
    """See `Kind`."""

    name = "auth0"
    aspects = ASPECTS
    parts = PARTS

    def gather(self, where: Where, new: bool = False) -> list[File]:
        """See `Kind`."""
        found = _program(where.directory)
        if where.environment is not None and (not new or where.environment.exists()):
            found.append(reading.alone(where.environment, Area.ENVIRONMENT, secret=True))
        if reading.exists(where.directory, CONFIG):
            found.append(reading.file_below(where.directory, CONFIG, secret=True))
        elif not new and not _config_is_off(found):
            raise InstanceError(f"{where.directory}: has no {CONFIG}; start the connector there once, or apply a pack")
        settings = _settings(found)
        if reading.exists(where.directory, MAPPER):
            found.append(reading.file_below(where.directory, MAPPER))
        for below in _TREES:
            found += [_opened_if_shown(file) for file in reading.tree(where.directory, below, secret=below == "certs")]
        found += _mapper(where.directory, settings, found)
        found += _authorities(where.directory, settings)
        if where.keytab is not None and (not new or where.keytab.exists()):
            found.append(reading.alone(where.keytab, Area.KEYTAB, secret=True))
        return found

    def understand(self, files: Sequence[File]) -> Instance:
        """See `Kind`."""
        config, variables = _config(files), _variables(files)
        return Meaning(files, config, variables, effective(config, variables)).instance()

    def adapt(self, packed: Sequence[File], here: Sequence[File], port: int | None) -> list[File]:
        """See `Kind`."""
        adapted = []
        for file in packed:
            present = find(here, file.area, file.path)
            if file.key == (Area.INSTANCE, CONFIG):
                adapted.append(replace(file, content=_merged_config(file.content, present, port)))
            elif file.area is Area.ENVIRONMENT:
                adapted.append(replace(file, content=_merged_environment(file.content, present, port)))
            elif file.area is not Area.PROGRAM:
                adapted.append(file)
        return adapted

    def inspect(self, where: Where, files: Sequence[File]) -> Findings:
        """See `Kind`."""
        settings = _settings(files)
        problems, warnings = [], []
        for process in processes.running(where.directory, "server.js"):
            if process.cwd != where.directory.resolve():
                problems.append(
                    f"process {process.pid} runs in {process.cwd}, where it writes certs/; it reads them in"
                    f" {where.directory}: start it there (WorkingDirectory= of its unit)"
                )
            for name, value in (process.environment or {}).items():
                if of_connector(name) and name != OWN and value != text(settings.get(name)):
                    problems.append(
                        f"{name}: process {process.pid} has another value, by its environment; name the file of its"
                        " variables with --environment FILE, and restart it"
                    )
            if process.environment is None:
                warnings.append(f"process {process.pid}: only root can tell what its environment overrides")
        return Findings(problems, warnings)

    def port(self, files: Sequence[File]) -> int | None:
        """See `Kind`."""
        value = text(_settings(files).get(OWN))
        return int(value) if re.fullmatch("[0-9]{1,5}", value) else None

    def place(self, file: File, where: Where, files: Sequence[File]) -> Path:
        """See `Kind`."""
        settings = _settings(files)
        match file.area:
            case Area.INSTANCE if _belongs(file.path, settings):
                return where.directory / file.path
            case Area.ENVIRONMENT if where.environment is not None:
                return where.environment
            case Area.KEYTAB if where.keytab is not None:
                return where.keytab
            case Area.CA:
                return _authority_place(file, where, text(settings.get("SSL_CA_PATH")))
            case Area.ENVIRONMENT | Area.KEYTAB:
                raise InstanceError(f"the pack has a file of {file.area}: say where it goes, by --{file.area} FILE")
        raise InstanceError(f"{file}: is no file of a connector that a pack may have")


# --- from the directory


def _program(directory: Path) -> list[File]:
    """The version, and what its own files are, by digest; lib/profileMapper.js is the administrator's."""
    try:
        package = json.loads(reading.file_below(directory, "package.json").content)
        name, version = package["name"], package["version"]
        str(version).encode()
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InstanceError(f"{directory / 'package.json'}: is not that of a connector") from None
    if name != _PACKAGE or not isinstance(version, str):
        raise InstanceError(f"{directory}: is the folder of {name!r}; a connector's package is {_PACKAGE}")
    own = [one for below in _PROGRAM for one in reading.tree(directory, below) if one.path.endswith(".js")]
    own += [reading.file_below(directory, path.name) for path in sorted(directory.glob("*.js"))]
    listed = {one.path: digests.text_digest(one.content) for one in own if one.path != MAPPER}
    digest = digests.plain(json.dumps(listed, sort_keys=True).encode())
    return [fact_file("version", version), fact_file("program", digest)]


def _opened_if_shown(file: File) -> File:
    """certs/cert.pem is what the tenant and every token show; who knows what else is in certs/."""
    return replace(file, secret=False) if file.path == "certs/cert.pem" else file


def _mapper(directory: Path, settings: Mapping[str, Any], found: Sequence[File]) -> list[File]:
    """The file that PROFILE_MAPPER_FILE names, as `require` in lib/ finds it; one elsewhere is only looked at."""
    named = text(settings.get("PROFILE_MAPPER_FILE"))
    if not named:
        return []
    path = mapper_path(named)
    if path is not None:
        return [] if find(found, Area.INSTANCE, path) else [reading.file_below(directory, path)]
    if named.startswith("/"):
        content = reading.alone(Path(named), Area.PROGRAM, secret=False).content
        return [fact_file("mapper", digests.text_digest(content))]
    return [fact_file("mapper", f"package {named}")]


def _authorities(directory: Path, settings: Mapping[str, Any]) -> list[File]:
    """The files of SSL_CA_PATH. Links there are the system's own, and are neither packed nor compared."""
    path = text(settings.get("SSL_CA_PATH"))
    if not path:
        return []
    wanted = _compiled(text(settings.get("SSL_CA_FILE")))
    if not path.startswith("/"):
        below = posixpath.normpath(path)
        if below.startswith(".."):
            raise InstanceError(f"SSL_CA_PATH: {path} leads out of {directory}; write an absolute path")
        found = [one for one in reading.tree(directory, below) if wanted.search(PurePosixPath(one.path).name)]
        return _public(path, [one for one in found if one.path.split("/")[0] not in _TREES])
    try:
        listed = [one for one in sorted(Path(path).iterdir()) if wanted.search(one.name) and not one.is_symlink()]
    except OSError as error:
        raise InstanceError(f"SSL_CA_PATH: {path}: {reading.reason(error)}") from None
    return _public(path, [reading.file_below(one.parent, one.name, area=Area.CA) for one in listed if one.is_file()])


def _public(path: str, found: list[File]) -> list[File]:
    """Authorities are for everybody. The connector's account chooses the path, and root's keys belong into no pack."""
    for one in found:
        if b"PRIVATE KEY" in one.content:
            raise InstanceError(f"SSL_CA_PATH: {path} has a private key, {one.path}; put the certificates apart")
    return found


def _compiled(expression: str) -> re.Pattern[str]:
    """SSL_CA_FILE. One that could take for ever is refused: the connector's account may have written it for root."""
    if re.search(r"\)[*+?{]", expression) or len(re.findall(r"[*+{]", expression)) > _MOST_REPEATED:
        raise InstanceError(f"SSL_CA_FILE: {expression[:60]!r} repeats too much to be looked at here")
    try:
        return re.compile(expression)
    except re.error:
        raise InstanceError(f"SSL_CA_FILE: {expression!r} is not a regular expression") from None


# --- settings


def _config(files: Sequence[File]) -> dict[str, Any]:
    file = find(files, Area.INSTANCE, CONFIG)
    return {} if file is None else read_config(file.content)


def _variables(files: Sequence[File]) -> dict[str, str]:
    file = find(files, Area.ENVIRONMENT)
    return {} if file is None else environment.parse(file.content, "the environment")


def _settings(files: Sequence[File]) -> dict[str, Any]:
    return effective(_config(files), _variables(files))


def _config_is_off(files: Sequence[File]) -> bool:
    return _variables(files).get("OVERRIDE_CONFIG") == "false"


# --- to the directory


def _belongs(path: str, settings: Mapping[str, Any]) -> bool:
    """A pack brings no program: server.js, package.json and what is below node_modules stay what was installed."""
    first = path.split("/")[0]
    below = posixpath.normpath(text(settings.get("SSL_CA_PATH")) or "certs")
    named = mapper_path(text(settings.get("PROFILE_MAPPER_FILE")))
    if path in (CONFIG, MAPPER) or (first in _TREES and "/" in path):
        return True
    if first in (*_PROGRAM, "node_modules", "admin") and path != named:
        return False
    return path == named or path.startswith(f"{below}/")


def _authority_place(file: File, where: Where, path: str) -> Path:
    if where.authorities is None or str(where.authorities) != path.rstrip("/"):
        raise InstanceError(f"the pack has files of SSL_CA_PATH: to have them written there, add --ca-path {path}")
    if "/" in file.path:
        raise InstanceError(f"{file}: is no name in a directory")
    return where.authorities / file.path


def _merged_config(content: bytes, present: File | None, port: int | None) -> bytes:
    """PORT, and what belongs to the host, as it is here; the rest as packed. Written as the connector writes it."""
    packed = read_config(content)
    here = {} if present is None else read_config(present.content)
    merged = {
        name: value for name, value in packed.items() if name not in OF_THE_HOST or name == "LAST_SENT_THUMBPRINT"
    }
    merged |= {name: here[name] for name in (OWN, "FIREWALL_RULE_CREATED", "CACHE_FILE") if name in here}
    if port is not None:
        merged[OWN] = port
    if merged == packed:
        return content
    return json.dumps(merged, indent=2, ensure_ascii=False).encode()


def _merged_environment(content: bytes, present: File | None, port: int | None) -> bytes:
    """The connector's settings as packed but PORT, and all else that is here as it is."""
    packed = environment.parse(content, "the packed environment")
    here = {} if present is None else environment.parse(present.content, "the environment here")
    kept = {name: value for name, value in here.items() if not of_connector(name)}
    merged = {**packed, **kept}
    if OWN in here:
        merged[OWN] = here[OWN]
    if port is not None and OWN in merged:
        merged[OWN] = str(port)
    return content if merged == packed else environment.render(merged)
