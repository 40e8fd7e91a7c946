"""A generation's process: from the configuration file to the sockets that the master holds, and then the loop."""

from __future__ import annotations

import gc
import logging
import os
import resource
import signal
import socket
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import cast

import uvloop

from lbproxy.config import Config, load
from lbproxy.config.toml import read_text
from lbproxy.control import log as operational_log
from lbproxy.control.log import event, unraisable
from lbproxy.control.log.recent import RecentEvents
from lbproxy.errors import ConfigError, LbproxyError, StartError
from lbproxy.preflight import Report, inspect
from lbproxy.process.generation.handover import HandoverState, StartInputs, secret
from lbproxy.process.generation.handover_formats import understood
from lbproxy.process.generation.listen_addresses import ADMIN, HEALTH, METRICS, WEB, freebind, listener_key, wanted
from lbproxy.process.generation.privileges import assume, owner
from lbproxy.process.generation.run_identity import run_of
from lbproxy.process.imports import quick_imports
from lbproxy.process.ipc.channel import MAX_DESCRIPTORS, Channel
from lbproxy.process.ipc.master_messages import (
    WITH_MASTER,
    Drain,
    End,
    Failed,
    FromGeneration,
    Lifeline,
    Needs,
    Start,
    ToGeneration,
)
from lbproxy.process.ipc.messages import PROTOCOL
from lbproxy.process.ipc.worker_messages import FromWorker, ToWorker
from lbproxy.process.workers.forker import start
from lbproxy.process.workers.main import work
from lbproxy.status.served import Origin

log = logging.getLogger(__name__)


def main(descriptor: int, number: int, path: Path, text: int | None = None) -> int:
    """Serve what the file at `path` says, with the master at the other end of `descriptor`; the exit status.

    text: the descriptor of what is taken for the file's content.
    """
    for theirs in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):  # the master's; `Generation` passes them on to it
        signal.signal(theirs, signal.SIG_IGN)  # until then, and in workers
    unraisable.install()
    os.set_inheritable(descriptor, False)
    channel = Channel(socket.socket(fileno=descriptor), WITH_MASTER)
    try:
        loaded, run = time.time(), run_of(os.getppid())
        said = read_text(path) if text is None else _read(text)
        config, report = prepare(path, said)
        inherited = ask(channel, number, config, Origin(os.getppid(), run, path, loaded, replaces=False), said)
        if inherited is None:
            return 0
        _serve(config, report, inherited)
    except LbproxyError as error:
        channel.send(Failed(str(error).splitlines()))
        return 1
    finally:
        channel.close()
    return 0


def _read(descriptor: int) -> str:
    with open(descriptor, encoding="utf-8", newline="") as file:
        return file.read()


def prepare(path: Path, text: str | None = None) -> tuple[Config, Report]:
    """The configuration, and what was found in the files that it names. Raises ConfigError.

    From here on this process is the user that the configuration names.
    """
    config = load(path, text=text)
    report = inspect(config, datetime.now(UTC), partial(assume, config))
    if report.problems:
        raise ConfigError(str(path), config.located(report.problems))
    return config, report


def ask(
    channel: Channel[FromGeneration, ToGeneration], number: int, config: Config, origin: Origin, text: str = ""
) -> StartInputs | None:
    """Ask the master for the sockets; None if it would rather have this process end.

    Raises StartError, and MessageError when the master's answer cannot be read.

    origin: but for `replaces`, which the master's answer tells. text: what the file held.
    """
    places = wanted(config)
    if len(places) > MAX_DESCRIPTORS:
        raise StartError(f"listener: {len(places)} addresses with those of admin; there can be {MAX_DESCRIPTORS}")
    channel.send(Needs(places, owner(config), PROTOCOL, text, freebind(config), config.log.to))
    try:
        while not isinstance((received := channel.wait()).message, Start | Drain | End):
            pass  # what others have told, or the access log, is not known here yet
    except EOFError:
        return None
    message, descriptors = received
    if not isinstance(message, Start):
        return None
    channel.protocol = message.protocol
    sockets = {one.key: socket.socket(fileno=fd) for one, fd in zip(places, descriptors, strict=True)}
    by_listener = {name: sockets[listener_key(name)] for name in config.listeners}
    state = cast("HandoverState | None", message.state)
    kept = secret(state, time.monotonic())
    origin = origin._replace(replaces=state is not None)
    return StartInputs(
        number, origin, channel, by_listener, sockets[ADMIN], kept, state,
        health=sockets.get(HEALTH), metrics=sockets.get(METRICS), web=sockets.get(WEB),
    )  # fmt: skip


def _serve(config: Config, report: Report, inherited: StartInputs) -> None:
    _raise_descriptor_limit()
    if config.worker_count > 1:
        inherited = _with_forker(config, inherited)
    with quick_imports():  # after the fork: workers have no use for a control plane
        from lbproxy.process.generation.generation import Generation

    handler = operational_log.setup(to=config.log.to)
    state = understood(inherited.state)
    events = RecentEvents(state.get("events") if state else None, f"generation {inherited.number}")
    logging.getLogger().addHandler(events)
    try:
        for warning in (*report.warnings, *report.tolerated):
            event(log, logging.WARNING, "config_warning", key=warning.where, text=warning.text)
        if state is None and inherited.state is not None:
            event(log, logging.WARNING, "state_forgotten", why="another version of lbproxy has left it")
        uvloop.run(Generation(config, inherited._replace(state=state, events=events)).serve())
    finally:
        handler.close()


def _with_forker(config: Config, inherited: StartInputs) -> StartInputs:
    """Before there is a loop, or a thread."""
    value = bytes.fromhex(inherited.secret["value"])

    def become_worker(_: int, channel: Channel[FromWorker, ToWorker]) -> int:
        return work(config, inherited.sockets, value, channel)

    own = (inherited.channel, inherited.admin, inherited.health, inherited.metrics, inherited.web)
    mine = [one for one in own if one is not None]
    gc.collect()
    gc.freeze()  # the collector would write to pages that are shared
    lifeline, _ = os.pipe()  # whose other end stays open here, and in all that is forked
    inherited.channel.send(Lifeline(), [lifeline])
    if not inherited.channel.has_queue:
        os.close(lifeline)
    _, forker = start(become_worker, inherited.sockets.values(), mine)
    return inherited._replace(forker=forker)


def _raise_descriptor_limit() -> None:
    """Each client connection needs a descriptor, and so does each lane: use all that this process may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
