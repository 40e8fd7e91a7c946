"""What `apply` is going to do, and why it may not: everything is looked at before anything is written."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lbproxy.errors import InstanceError
from lbproxy.instance import processes, reading
from lbproxy.instance.change import Change, current
from lbproxy.instance.difference import compare, side
from lbproxy.instance.kinds import kind_of, load
from lbproxy.instance.model import Area, File, Instance, Kind, Where, find

_OTHERS = 0o007
_WRITERS = 0o022


class Planned(NamedTuple):
    """A file and what becomes of it: "new", "changed" or "same"; what was there `before`."""

    change: Change
    before: Change

    @property
    def action(self) -> str:
        """For people."""
        if self.change.is_made(self.before):
            return "same"
        return "new" if self.before.content is None else "changed"


@dataclass(slots=True)
class Plan:
    """`problems` keep it from being carried out. `kept`: settings that stay as they are, with their values."""

    planned: list[Planned] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)

    @property
    def changes(self) -> list[Change]:
        """What is to be written."""
        return [one.change for one in self.planned if one.action != "same"]


def make_plan(kind_name: str, packed: Sequence[File], where: Where, port: int | None) -> Plan:
    """packed: the files of a pack. port: what the new instance listens on, if it is to be set. Raises InstanceError."""
    kind = kind_of(kind_name)
    here = list(load(kind_name, where, new=True).files)
    plan = Plan()
    adapted = kind.adapt(packed, here, port)
    _compare_program(plan, packed, here)
    for file in adapted:
        _place(plan, kind, file, where, adapted)
    _judge_places(plan)
    after = _after(here, adapted)
    _judge_after(plan, kind, kind.understand(packed), kind.understand(after))
    _judge_port(plan, kind, after, where)
    _judge_rights(plan, where)
    found = kind.inspect(where, after)
    plan.warnings += found.warnings
    plan.warnings += [f"{sentence} (as of now)" for sentence in found.problems]
    return plan


def _after(here: Sequence[File], adapted: Sequence[File]) -> list[File]:
    """The instance as it will be: files that the pack does not have stay."""
    written = {file.key for file in adapted}
    return [*(file for file in here if file.key not in written), *adapted]


def _compare_program(plan: Plan, packed: Sequence[File], here: Sequence[File]) -> None:
    told = {name: [_fact(files, name) for files in (packed, here)] for name in ("version", "program")}
    version, program = told["version"], told["program"]
    if version[0] != version[1]:
        plan.problems.append(
            f"version: {version[1]} is installed here, and the pack is of {version[0]}; install that first"
        )
    elif program[0] != program[1]:
        plan.problems.append(
            f"program: both say that they are {version[0]}, and their files are not the same; install the same package"
        )


def _fact(files: Sequence[File], name: str) -> str:
    file = find(files, Area.PROGRAM, name)
    return "unknown" if file is None else file.content.decode("utf-8", "replace")


def _place(plan: Plan, kind: Kind, file: File, where: Where, files: Sequence[File]) -> None:
    try:
        target = kind.place(file, where, files)
        inside = file.area is Area.INSTANCE
        directory = where.directory if inside else target.parent
        below = str(target.parent.relative_to(directory))
        wanted = Change(directory, below, target.name, file.content, file.mode)
        before = current(wanted)
        if reading.is_mount_point(target):
            raise InstanceError(f"{target}: is a mount point, which cannot be replaced; change it where it comes from")
        plan.planned.append(Planned(_with_rights(wanted, before, file, directory), before))
    except InstanceError as error:
        plan.problems.append(str(error))


def _judge_places(plan: Plan) -> None:
    """Two files at one place: the second would be all that is left of them."""
    places = [os.path.realpath(one.change.path) for one in plan.planned]
    plan.problems += [f"{place}: is named for two files of the pack" for place in {*places} if places.count(place) > 1]


def _with_rights(wanted: Change, before: Change, file: File, directory: Path) -> Change:
    """The owner and the mode that the file has, or else the owner of the directory and the packed mode.

    Others never get to read what is secret, and only the owner writes.
    """
    mode = before.mode if before.content is not None else file.mode & ~_WRITERS
    if file.secret:
        mode &= ~_OTHERS
    if before.content is not None:
        return wanted._replace(mode=mode, uid=before.uid, gid=before.gid)
    try:
        owner = directory.stat()
    except OSError as error:
        raise InstanceError(f"{directory}: {error.strerror}") from None
    return wanted._replace(mode=mode, uid=owner.st_uid, gid=owner.st_gid)


def _judge_after(plan: Plan, kind: Kind, packed: Instance, after: Instance) -> None:
    plan.problems += after.problems
    plan.warnings += after.warnings
    for finding in compare(side("the pack", packed), side("this", after)).findings:
        if finding.aspect not in ("version", "program"):
            what = ", ".join(finding.parts)
            plan.problems.append(
                f"{what}: would still not be as packed; look for a variable that overrides it, and for files here that"
                f" the pack does not have. {finding.effect}"
            )
    port = kind.port(after.files)
    if port is not None:
        plan.kept["PORT"] = str(port)


def _judge_port(plan: Plan, kind: Kind, after: Sequence[File], where: Where) -> None:
    """A connector whose port is taken stays up, is believed by the tenant, and serves nobody."""
    port = kind.port(after)
    if port is None:
        return
    running = processes.running(where.directory, "server.js")
    if running:
        pids = ", ".join(str(process.pid) for process in running)
        plan.warnings.append(f"the connector runs (process {pids}): restart it, or it goes on with what it has read")
    elif trouble := _taken(port):
        plan.problems.append(f"PORT: {port} cannot be used: {trouble}; choose another one with --port")


def _taken(port: int) -> str:
    try:
        with socket.socket(socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("0.0.0.0", port))
    except (OSError, OverflowError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""


def _judge_rights(plan: Plan, where: Where) -> None:
    """Only root gives files to others."""
    user = os.geteuid()
    if user == 0:
        return
    others = {one.change.path for one in plan.planned if one.change.uid != user}
    if others or where.directory.stat().st_uid != user:
        plan.problems.append(f"{where.directory}: belongs to another account; run this as root, or as that account")
