"""Every rule, over the whole document."""

from __future__ import annotations

from collections.abc import Iterator

from lbproxy.config.checks import (
    admin_web,
    client_certificates,
    consistency,
    discover,
    fleet,
    forwarding,
    listeners,
    pools,
    probes,
    sections,
    tracing,
)
from lbproxy.config.checks.look import Document
from lbproxy.errors import Problem

SUBJECTS = (
    sections,
    listeners,
    forwarding,
    client_certificates,
    pools,
    discover,
    probes,
    consistency,
    fleet,
    tracing,
    admin_web,
)
WITH_WARNINGS = (forwarding, client_certificates, pools, discover, probes, fleet, tracing, admin_web)


def problems(document: Document) -> Iterator[Problem]:
    """Every contradiction in `document`, which is the whole file with its ${NAME} expanded."""
    for subject in SUBJECTS:
        yield from subject.problems(document)


def warnings(document: Document) -> Iterator[Problem]:
    """What `document` has and nothing uses."""
    for subject in WITH_WARNINGS:
        yield from subject.warnings(document)
