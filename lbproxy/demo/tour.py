"""The commands that the demo prints: what to try, in an order that tells the story."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from lbproxy.demo.ports import LOOPBACK
from lbproxy.demo.stack import CERTIFICATE_USER, HOST, USER, DemoStack


@dataclass(frozen=True, slots=True)
class Stop:
    """One command for a POSIX shell, and what it shows."""

    title: str
    command: str


def tour(stack: DemoStack) -> list[Stop]:
    """The commands for a stack as it runs now, with the process ids of now."""
    victim = stack.connectors[1]
    who = f"as {USER}, with a Kerberos ticket" if stack.ticket else "without Kerberos"
    request = _request(stack)
    certificate = _by_certificate(stack, stack.port, stack.server_url)
    passthrough = _by_certificate(stack, stack.passthrough_port, stack.passthrough_url)
    status = _shell([sys.executable, "-m", "lbproxy", "status", "--admin", stack.admin])
    return [
        Stop(f"One request {who}", request),
        Stop("Nine requests: the instances take turns", _nine(request)),
        Stop(f"One as {CERTIFICATE_USER}, by certificate: the connector sees one that was minted", certificate),
        Stop(f"The same with TLS passed through: it sees {CERTIFICATE_USER}'s own certificate", passthrough),
        Stop("What the balancer sees (--watch keeps looking)", status),
        Stop(f"Kill {victim.name}", f"kill -9 {victim.pid}"),
        Stop("Nine requests again: no one notices", _nine(request)),
        Stop("Nine connections that are passed through: no one notices either", _nine(passthrough)),
        Stop(f"{victim.name} is out of rotation, and why", status),
    ]


def _nine(request: str) -> str:
    """The same request nine times, to see who answers."""
    return f'for n in $(seq 9); do {request}; done | grep -o \'"instance": "[^"]*"\''


def _request(stack: DemoStack) -> str:
    curl = _curl(stack, stack.port)
    if stack.ticket is None:
        return _shell([*curl, f"{stack.server_url}/users"])
    return _shell([*curl, "--negotiate", "-u", ":", f"{stack.server_url}/wsfed"], stack.ticket)


def _by_certificate(stack: DemoStack, port: int, url: str) -> str:
    assert stack.certificate is not None, "a tour of a stack that has not started"
    shown = ["--cert", str(stack.certificate.certificate), "--key", str(stack.certificate.key)]
    return _shell([*_curl(stack, port), *shown, f"{url}/wsfed"])


def _curl(stack: DemoStack, port: int) -> list[str]:
    """curl and the options that lead to the stack; an answer ends with its line."""
    target = ["--resolve", f"{HOST}:{port}:{LOOPBACK}", "--cacert", str(stack.ca)]
    return ["curl", "--silent", "--show-error", "--fail", *target, "-w", "\\n"]


def _shell(command: list[str], environment: Mapping[str, str] | None = None) -> str:
    words = [f"{name}={shlex.quote(value)}" for name, value in (environment or {}).items()]
    return " ".join([*words, shlex.join(command)])
