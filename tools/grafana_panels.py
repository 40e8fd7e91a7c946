"""The panels of the Grafana dashboard: what each shows, by which queries.

A query is PromQL in which $job stands for the matchers of the chosen balancers, $pool for those of the chosen pools of
theirs, and $range for an interval that has at least four scrapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lbproxy.reasons import TABLE, Fault

GOOD_ENDS = "|".join(label for label, reason in TABLE.items() if reason.fault is Fault.NOBODY)

BACKEND, POOL = "{{pool}}/{{backend}}", "{{pool}}"
YES_NO = [{"type": "value", "options": {"0": {"text": "no", "color": "red"}, "1": {"text": "yes", "color": "green"}}}]
NO_YES = [{"type": "value", "options": {"0": {"text": "no", "color": "green"}, "1": {"text": "yes", "color": "red"}}}]
EITHER = [{"type": "value", "options": {"0": {"text": "no", "color": "text"}, "1": {"text": "yes", "color": "blue"}}}]
DAY = 86400.0


@dataclass(frozen=True)
class Panel:
    """Queries by their legend; kind is Grafana's type of panel, unit one of its units, steps its thresholds."""

    title: str
    queries: Mapping[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    text: str = ""
    width: int = 8
    height: int = 7
    steps: tuple[tuple[float | None, str], ...] = ((None, "green"),)
    mappings: list[dict[str, Any]] = field(default_factory=list)


def quantile(of: float, metric: str, by: str, matchers: str) -> str:
    return f"histogram_quantile({of}, sum by ({by}le) (rate({metric}_bucket{{{matchers}}}$range)))"


def rate(metric: str, by: str, matchers: str = "$pool") -> str:
    return f"sum by ({by}) (rate({metric}{{{matchers}}}$range))"


def latency(of: float) -> Panel:
    query = quantile(of, "lbproxy_backend_first_byte_seconds", "pool, backend, ", "$pool")
    return Panel(f"First byte, p{of * 100:.0f}", {BACKEND: query}, "s")


def figure(title: str, query: str, *steps: tuple[float | None, str], unit: str = "short", **more: Any) -> Panel:
    """A number."""
    return Panel(title, {"": query}, unit, "stat", width=3, height=4, steps=steps or ((None, "text"),), **more)


def yes(title: str, query: str, legend: str, mappings: list[dict[str, Any]] = YES_NO, **more: Any) -> Panel:
    """What is so or is not, over time."""
    return Panel(title, {legend: query}, kind="state-timeline", mappings=mappings, **more)


ROWS: dict[str, list[Panel]] = {
    "Overview": [
        figure("Balancers", "count(lbproxy_info{$job})"),
        figure(
            "Pools without a backend",
            "count(sum by (instance, pool) (lbproxy_backend_in_rotation{$pool}) == 0) or vector(0)",
            (None, "green"),
            (1, "red"),
        ),
        figure(
            "Backends that are down",
            "sum(lbproxy_backend_up{$pool} == bool 0)",
            (None, "green"),
            (1, "red"),
            text="On each balancer: one backend that is down counts once for each.",
        ),
        figure("Requests", "sum(rate(lbproxy_requests_total{$job}$range))", unit="reqps"),
        figure(
            "Answers that are 5xx",
            'sum(rate(lbproxy_backend_responses_total{$pool, class="5xx"}$range))'
            " / sum(rate(lbproxy_backend_responses_total{$pool}$range))",
            (None, "green"),
            (0.01, "orange"),
            (0.05, "red"),
            unit="percentunit",
        ),
        figure(
            "Whole request, p99",
            quantile(0.99, "lbproxy_request_duration_seconds", "", "$job"),
            unit="s",
        ),
        figure(
            "Last reload went well",
            "min(lbproxy_config_last_reload_successful{$job})",
            (None, "red"),
            (1, "green"),
            mappings=YES_NO,
        ),
        figure(
            "First certificate or CRL ends in",
            "min(lbproxy_expiry_seconds{$job})",
            (None, "red"),
            (DAY, "orange"),
            (14 * DAY, "green"),
            unit="s",
        ),
    ],
    "Pools": [
        Panel("Backends in rotation", {POOL: "sum by (pool) (lbproxy_backend_in_rotation{$pool})"}),
        Panel("Requests of a pool", {POOL: rate("lbproxy_backend_requests_total", "pool")}, "reqps"),
        Panel(
            "Retry budget",
            {
                "{{pool}} used": "sum by (pool) (lbproxy_retries_used{$pool})",
                "{{pool}} limit": "sum by (pool) (lbproxy_retries_limit{$pool})",
            },
            text="Requests sent a second time in 10 s, and how many may be.",
        ),
        yes(
            "In rotation",
            "min by (pool, backend) (lbproxy_backend_in_rotation{$pool})",
            BACKEND,
            width=12,
        ),
        yes("Up", "min by (pool, backend) (lbproxy_backend_up{$pool})", BACKEND, width=12),
        yes("Draining", "max by (pool, backend) (lbproxy_backend_draining{$pool})", BACKEND, EITHER),
        yes("Standby", "max by (pool, backend) (lbproxy_backend_standby{$pool})", BACKEND, EITHER),
        Panel(
            "Weight and flapping",
            {
                f"{BACKEND} weight": "max by (pool, backend) (lbproxy_backend_weight{$pool})",
                f"{BACKEND} held for s": "max by (pool, backend) (lbproxy_backend_held_seconds{$pool}) > 0",
            },
            text="A weight is less in the slow start. A backend that flaps is held out of rotation for a while.",
        ),
    ],
    "Backends: latency": [latency(0.5), latency(0.9), latency(0.99)],
    "Backends: answers": [
        Panel("Requests", {BACKEND: rate("lbproxy_backend_requests_total", "pool, backend")}, "reqps"),
        Panel(
            "Answers by class of status",
            {f"{BACKEND} {{{{class}}}}": rate("lbproxy_backend_responses_total", "pool, backend, class")},
            "reqps",
        ),
        Panel(
            "5xx of all answers",
            {
                BACKEND: rate("lbproxy_backend_responses_total", "pool, backend", '$pool, class="5xx"')
                + " / "
                + rate("lbproxy_backend_responses_total", "pool, backend")
            },
            "percentunit",
        ),
        Panel("Requests at work", {BACKEND: "sum by (pool, backend) (lbproxy_backend_active_requests{$pool})"}),
        Panel(
            "Failures",
            {
                f"{BACKEND} errors": rate("lbproxy_backend_errors_total", "pool, backend"),
                f"{BACKEND} connects": rate("lbproxy_backend_connect_failures_total", "pool, backend"),
            },
            "cps",
        ),
        Panel(
            "Times ejected",
            {BACKEND: "sum by (pool, backend) (increase(lbproxy_backend_ejections_total{$pool}$range))"},
        ),
        Panel(
            "Retries",
            {
                f"{BACKEND} away": rate("lbproxy_backend_retried_total", "pool, backend"),
                f"{BACKEND} to it": rate("lbproxy_backend_retried_to_total", "pool, backend"),
            },
            "reqps",
        ),
        Panel(
            "Bytes",
            {f"{BACKEND} {{{{direction}}}}": rate("lbproxy_backend_bytes_total", "pool, backend, direction")},
            "Bps",
            width=16,
        ),
    ],
    "Errors by reason": [
        Panel(
            "Requests and connections that ended badly",
            {"{{reason}}": rate("lbproxy_ends_total", "reason", f'$job, reason!~"{GOOD_ENDS}"')},
            "cps",
            text="docs/monitoring.md and docs/failure.md of lbproxy have a table of the reasons.",
            width=12,
        ),
        Panel(
            "The same of each listener",
            {
                "{{listener}} {{reason}}": rate(
                    "lbproxy_listener_ends_total", "listener, reason", f'$job, reason!~"{GOOD_ENDS}"'
                )
            },
            "cps",
            width=12,
        ),
        Panel(
            "Connections turned away",
            {"{{listener}} {{reason}}": rate("lbproxy_refused_total", "listener, reason", "$job")},
            "cps",
            width=12,
        ),
        Panel("All ends", {"{{reason}}": rate("lbproxy_ends_total", "reason", "$job")}, "cps", width=12),
    ],
    "Clients": [
        Panel("Connections open", {"{{listener}}": "sum by (listener) (lbproxy_connections{$job})"}),
        Panel("Connections accepted", {"{{listener}}": rate("lbproxy_accepted_total", "listener", "$job")}, "cps"),
        Panel("Requests", {"{{listener}}": rate("lbproxy_requests_total", "listener", "$job")}, "reqps"),
        Panel(
            "Whole request",
            {
                f"p{of * 100:.0f}": quantile(of, "lbproxy_request_duration_seconds", "", "$job")
                for of in (0.5, 0.9, 0.99)
            },
            "s",
            text="From the end of a request's head to the end of its answer.",
            width=12,
        ),
        Panel(
            "Pauses for want of descriptors",
            {"{{listener}}": "sum by (listener) (increase(lbproxy_accept_pauses_total{$job}$range))"},
            width=12,
        ),
    ],
    "Lanes": [
        Panel(
            "Connections to backends",
            {f"{BACKEND} {{{{kind}}}}": "sum by (pool, backend, kind) (lbproxy_backend_lanes{$pool})"},
            text="Idle shared ones, and those that belong to one client because a user has authenticated on them.",
        ),
        Panel("Opened", {BACKEND: rate("lbproxy_backend_lanes_opened_total", "pool, backend")}, "cps"),
        Panel("Tunnels", {BACKEND: "sum by (pool, backend) (lbproxy_backend_tunnels{$pool})"}),
    ],
    "TLS and certificates": [
        Panel(
            "Left until a certificate, authority or revocation list ends",
            {"{{where}} {{kind}} {{name}}": "min by (where, kind, name) (lbproxy_expiry_seconds{$job})"},
            "s",
            "bargauge",
            width=12,
            height=9,
            steps=((None, "red"), (DAY, "orange"), (14 * DAY, "green")),
        ),
        yes(
            "Changed files that cannot be used",
            "max by (where) (lbproxy_tls_files_refused{$job})",
            "{{where}}",
            NO_YES,
            width=12,
            height=9,
        ),
        Panel(
            "Handshakes with clients",
            {"{{listener}} {{result}}": rate("lbproxy_tls_handshakes_total", "listener, result", "$job")},
            "cps",
            width=12,
        ),
        Panel(
            "Handshakes with backends",
            {f"{BACKEND} {{{{result}}}}": rate("lbproxy_backend_tls_handshakes_total", "pool, backend, result")},
            "cps",
            width=12,
        ),
    ],
    "Probes": [
        yes("Last probe was good", "min by (pool, backend) (lbproxy_probe_success{$pool})", BACKEND),
        Panel(
            "Time that a probe took",
            {BACKEND: "max by (pool, backend) (lbproxy_probe_duration_seconds{$pool})"},
            "s",
        ),
        yes(
            "Differs from the others",
            "max by (pool, backend, fact) (lbproxy_backend_inconsistent{$pool})",
            f"{BACKEND} {{{{fact}}}}",
            NO_YES,
        ),
        yes(
            "Kerberos: why a probe could not sign in",
            "max by (pool, backend, reason) (lbproxy_probe_reason{$pool})",
            f"{BACKEND} {{{{reason}}}}",
            NO_YES,
        ),
        yes(
            "Kerberos: why there is no new ticket",
            "max by (pool, reason) (lbproxy_kerberos_trouble{$pool})",
            "{{pool}} {{reason}}",
            NO_YES,
        ),
        yes("Keeps the user on the connection", "min by (pool, backend) (lbproxy_backend_binds{$pool})", BACKEND),
    ],
    "Fleet": [
        Panel(
            "Balancers that each one knows of",
            {"{{instance}} {{fleet}}": "max by (instance, fleet) (lbproxy_fleet_replicas{$job})"},
        ),
        yes("Is a member", "min by (instance, fleet) (lbproxy_fleet_member{$job})", "{{instance}} {{fleet}}"),
        Panel(
            "Time without etcd",
            {"{{instance}} {{fleet}}": "max by (instance, fleet) (lbproxy_fleet_unreachable_seconds{$job})"},
            "s",
        ),
        Panel(
            "Balancers that differ from most",
            {"{{fleet}} {{what}}": "max by (fleet, what) (lbproxy_fleet_replicas_differing{$job})"},
        ),
        yes(
            "TLS sessions resume on every balancer",
            "min by (instance, fleet) (lbproxy_fleet_tickets_shared{$job})",
            "{{instance}} {{fleet}}",
        ),
        Panel(
            "Orders of operators",
            {
                "{{instance}}": "max by (instance) (lbproxy_fleet_orders{$job})",
                "{{instance}} here only": "max by (instance) (lbproxy_fleet_orders_here_only{$job})",
                "{{instance}} values not understood": "max by (instance) (lbproxy_fleet_values_ignored{$job})",
            },
        ),
    ],
    "Discovery": [
        Panel(
            "Backends of a source",
            {
                "{{pool}} {{source}}": "max by (pool, source) (lbproxy_discovery_members{$pool})",
                "{{pool}} {{source}} refused": "max by (pool, source) (lbproxy_backends_refused{$pool})",
            },
        ),
        Panel(
            "Time that a source has been failing",
            {"{{pool}} {{source}}": "max by (pool, source) (lbproxy_discovery_stale_seconds{$pool})"},
            "s",
        ),
        yes(
            "Its answer does not count yet",
            "max by (pool, source) (lbproxy_discovery_doubted{$pool})",
            "{{pool}} {{source}}",
            NO_YES,
        ),
    ],
    "The balancer itself": [
        Panel(
            "Longest stop of an event loop",
            {"{{instance}}": "max by (instance) (lbproxy_loop_lag_worst_seconds{$job})"},
            "s",
        ),
        Panel(
            "Lateness of event loops",
            {"{{instance}} p99": quantile(0.99, "lbproxy_loop_lag_seconds", "instance, ", "$job")},
            "s",
        ),
        Panel(
            "Lines of the logs",
            {
                "{{instance}} access log": rate("lbproxy_access_log_written_total", "instance", "$job"),
                "{{instance}} access log, lost": rate("lbproxy_access_log_dropped_total", "instance", "$job"),
                "{{instance}} events": rate("lbproxy_log_written_total", "instance", "$job"),
                "{{instance}} events, lost": rate("lbproxy_log_dropped_total", "instance", "$job"),
            },
            "cps",
        ),
        Panel(
            "Traces",
            {
                "{{instance}} sampled": rate("lbproxy_traces_sampled_total", "instance", "$job"),
                "{{instance}} exported": rate("lbproxy_traces_exported_total", "instance", "$job"),
                "{{instance}} lost": rate("lbproxy_traces_dropped_total", "instance", "$job"),
            },
            "cps",
        ),
        Panel(
            "Memory of the process that is scraped",
            {"{{instance}}": "max by (instance) (process_resident_memory_bytes{$job})"},
            "bytes",
        ),
        Panel(
            "Up for, and since the last good reload",
            {
                "{{instance}} up": "max by (instance) (lbproxy_uptime_seconds{$job})",
                "{{instance}} reloaded": "time()"
                " - max by (instance) (lbproxy_config_last_reload_success_timestamp_seconds{$job})",
            },
            "s",
        ),
    ],
}
"""The dashboard: its rows from above to below, and the panels of each from left to right."""
