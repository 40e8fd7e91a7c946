"""HTML from the templates. What a peer, a backend or a configuration has named is escaped everywhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lbproxy.control.wording import duration, failed, fleet_state, refusals, share, size, time_of, title, waiting_order
from lbproxy.dashboard import words
from lbproxy.errors import MissingExtraError

_TEMPLATES = Path(__file__).parent / "templates"

Render = Callable[..., str]
"""Takes a template's name, and what is in it by name."""


def make_render(prefix: str, **known: Any) -> Render:
    """prefix: of every path of the dashboard. known: what every template knows. Raises MissingExtraError."""
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError:
        raise MissingExtraError("the dashboard", "dashboard") from None
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "duration": duration,
        "size": size,
        "seconds": time_of,
        "moment": moment,
        "days": days,
    }
    environment.globals |= {
        "prefix": prefix,
        "mark": words.mark,
        "pool_mark": words.pool_mark,
        "WORDS": words.WORDS,
        "why": lambda pool, backend: list(words.why(pool, backend, time.time())),
        "share": share,
        "failed": failed,
        "title_of": title,
        "fleet_state": fleet_state,
        "refusals": refusals,
        "waiting_order": waiting_order,
        **known,
    }

    def render(name: str, **context: Any) -> str:
        return environment.get_template(name).render(context)

    return render


def moment(at: float) -> str:
    """Seconds since the epoch, in UTC as the log writes it, without milliseconds."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}Z"


def days(seconds: float) -> str:
    """What is left: "83 days", "5 hours", "ended"."""
    if seconds <= 0:
        return "ended"
    if seconds < 2 * 86400:
        return f"{int(seconds // 3600)} hours"
    return f"{int(seconds // 86400)} days"
