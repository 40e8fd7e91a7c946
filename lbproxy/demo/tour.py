"""The commands that the demo prints: what to try, in an order that tells the story."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from lbproxy.demo.stack import CERTIFICATE_USER, USER, DemoStack


@dataclass(frozen=True, slots=True)
class Stop:
    """One command for a POSIX shell that has read the stack's `env`, and what it shows.

    once: the form of it that ends by itself, where it does not.
    """

    title: str
    command: str
    once: str = ""


_DASHBOARD = "lbproxy dashboard --no-browser --idle 1s"


def tour(stack: DemoStack) -> list[Stop]:
    """The commands for a stack as it runs now, with the process ids of now."""
    drained, victim, _ = stack.connectors
    who = f"as {USER}, with a Kerberos ticket" if stack.ticket else "without Kerberos"
    request = f"curl --negotiate -u : {stack.server_url}/wsfed" if stack.ticket else f"curl {stack.server_url}/users"
    certificate = f'curl -E "$DEMO/{stack.CERTIFICATE}"'
    passthrough = f"{certificate} {stack.passthrough_url}/wsfed"
    second = stack.second_url
    return [
        Stop(f"One request {who}", request),
        Stop("Nine requests: the instances take turns", _nine(request)),
        Stop(
            f"One as {CERTIFICATE_USER}, by certificate: the connector sees one that was minted",
            f"{certificate} {stack.server_url}/wsfed",
        ),
        Stop(f"The same with TLS passed through: it sees {CERTIFICATE_USER}'s own certificate", passthrough),
        Stop("What the balancer sees (--watch keeps looking)", "lbproxy status"),
        *([Stop("Its probes sign in with tickets of their own", "lbproxy status --wide")] if stack.ticket else []),
        *([Stop("The same in a browser (Ctrl-C ends it)", "lbproxy dashboard", _DASHBOARD)] if _has_pages() else []),
        *([Stop("A second balancer with the same connectors: the two are a fleet", "lbproxy fleet")] if second else []),
        Stop(f"Take {drained.name} out of rotation, in good order", f"lbproxy drain {drained.name} --wait"),
        Stop("Nine requests: the other two take turns", _nine(request)),
        *([Stop("The second one has heard of it", _nine(request.replace(stack.server_url, second)))] if second else []),
        Stop(f"Bring {drained.name} back", f"lbproxy ready {drained.name}"),
        Stop(
            "Update the connectors, one after the other",
            "lbproxy rollout --pool connectors --logs \"$DEMO/rollout\" --run 'restart {name}'",
        ),
        Stop(f"Kill {victim.name}", f'kill -9 $(cat "$DEMO/{victim.name}.pid")'),
        Stop("Nine requests again: no one notices", _nine(request)),
        Stop("Nine connections that are passed through: no one notices either", _nine(passthrough)),
        Stop(f"{victim.name} is out of rotation, and why", "lbproxy status"),
    ]


def _has_pages() -> bool:
    """Whether the extra `dashboard` is installed."""
    return all(find_spec(name) for name in ("jinja2", "aiohttp_sse"))


def _nine(request: str) -> str:
    """The same request nine times, to see who answers."""
    return f'for n in $(seq 9); do {request}; done | grep -o \'"instance": "[^"]*"\''
