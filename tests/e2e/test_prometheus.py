"""The rules in config/prometheus, run by promtool on made-up series."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lbproxy.control.metrics.table import TABLE
from tests.prometheus import needs_prometheus, promtool

RULES = Path(__file__).parents[2] / "config" / "prometheus" / "lbproxy.rules.yml"
AT = "20m"
"""When the alerts are looked at: later than each `for`."""

_TARGET = 'job="lbproxy",instance="lb1"'
_BACKEND = f'{{{_TARGET},pool="p",backend="c1"}}'

CASES: dict[str, dict[str, str]] = {
    "LbproxyPoolDown": {f"lbproxy_backend_in_rotation{_BACKEND}": "0x40"},
    "LbproxyBackendDown": {f"lbproxy_backend_up{_BACKEND}": "0x40"},
    "LbproxyBackendFlaps": {f"lbproxy_backend_ejections_total{_BACKEND}": "0+1x40"},
    "LbproxyBackendErrors": {
        f'lbproxy_backend_responses_total{{{_TARGET},pool="p",backend="c1",class="5xx"}}': "0+10x40",
        f'lbproxy_backend_responses_total{{{_TARGET},pool="p",backend="c1",class="2xx"}}': "0+90x40",
    },
    "LbproxyBackendDiffers": {f'lbproxy_backend_inconsistent{{{_TARGET},pool="p",backend="c1",fact="v"}}': "1x40"},
    "LbproxyDiscoveryStale": {f'lbproxy_discovery_stale_seconds{{{_TARGET},pool="p",source="dns"}}': "0+60x40"},
    "LbproxyKerberosTrouble": {f'lbproxy_kerberos_trouble{{{_TARGET},pool="p",reason="kdc_unreachable"}}': "1x40"},
    "LbproxyReloadFailed": {f"lbproxy_config_last_reload_successful{{{_TARGET}}}": "0x40"},
    "LbproxyCertificateEnds": {f'lbproxy_expiry_seconds{{{_TARGET},kind="certificate"}}': "1000000-60x40"},
    "LbproxyRevocationListEnds": {f'lbproxy_expiry_seconds{{{_TARGET},kind="crl"}}': "10000-60x40"},
    "LbproxyExpired": {f'lbproxy_expiry_seconds{{{_TARGET},kind="crl"}}': "-60-60x40"},
    "LbproxyCertificateRefused": {f'lbproxy_tls_files_refused{{{_TARGET},where="login"}}': "1x40"},
    "LbproxyLoopBlocked": {f"lbproxy_loop_lag_worst_seconds{{{_TARGET}}}": "1.5x40"},
    "LbproxyAccessLogDropped": {f"lbproxy_access_log_dropped_total{{{_TARGET}}}": "0+1x40"},
    "LbproxyLogDropped": {f"lbproxy_log_dropped_total{{{_TARGET}}}": "0+1x40"},
    "LbproxyRetryBudgetSpent": {
        f'lbproxy_retries_used{{{_TARGET},pool="p"}}': "10x40",
        f'lbproxy_retries_limit{{{_TARGET},pool="p"}}': "10x40",
    },
    "LbproxyFleetUnreachable": {f'lbproxy_fleet_unreachable_seconds{{{_TARGET},fleet="f"}}': "0+60x40"},
}
"""What each alert is for, as series of one sample a minute: it fires, and no other does."""

QUIET = {
    f"lbproxy_backend_up{_BACKEND}": "1x40",
    f"lbproxy_backend_in_rotation{_BACKEND}": "1x40",
    f"lbproxy_backend_ejections_total{_BACKEND}": "1x40",
    f'lbproxy_backend_responses_total{{{_TARGET},pool="p",backend="c1",class="5xx"}}': "0+1x40",
    f'lbproxy_backend_responses_total{{{_TARGET},pool="p",backend="c1",class="2xx"}}': "0+99x40",
    f'lbproxy_discovery_stale_seconds{{{_TARGET},pool="p",source="dns"}}': "0x40",
    f"lbproxy_config_last_reload_successful{{{_TARGET}}}": "1x40",
    f'lbproxy_expiry_seconds{{{_TARGET},kind="certificate"}}': "9000000x40",
    f'lbproxy_expiry_seconds{{{_TARGET},kind="crl"}}': "80000x40",
    f"lbproxy_loop_lag_worst_seconds{{{_TARGET}}}": "0.2x40",
    f'lbproxy_retries_used{{{_TARGET},pool="p"}}': "0x40",
    f'lbproxy_retries_limit{{{_TARGET},pool="p"}}': "10x40",
    f'lbproxy_fleet_unreachable_seconds{{{_TARGET},fleet="f"}}': "0x40",
}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def fires(directory: Path, series: dict[str, str], *alerts: str) -> None:
    """With these series, these alerts fire at AT, and no others do."""
    asked = {
        "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": AT,
        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in alerts],
    }
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": "1m", "input_series": inputs, "promql_expr_test": [asked]}
    path = directory / "test.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
    promtool("test", "rules", str(path))


@needs_prometheus
async def test_promtool_accepts_the_rules() -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", str(RULES))


@needs_prometheus
@pytest.mark.parametrize("alert", CASES)
async def test_an_alert_fires(tmp_path: Path, alert: str) -> None:
    fires(tmp_path, CASES[alert], alert)


@needs_prometheus
async def test_no_alert_fires_while_all_is_well(tmp_path: Path) -> None:
    fires(tmp_path, QUIET)


async def test_every_alert_has_a_case_and_says_what_to_do() -> None:
    alerts = {rule["alert"]: rule for rule in rules() if "alert" in rule}
    assert alerts.keys() == CASES.keys()
    for name, rule in alerts.items():
        assert rule["labels"]["severity"] in ("critical", "warning"), name
        assert rule["annotations"].keys() == {"summary", "description"}, name


async def test_the_rules_use_metrics_and_labels_that_there_are() -> None:
    labels = {row.name: set(row.labels) for row in TABLE}
    for rule in rules():
        text = rule["expr"].replace("_bucket[", "[")
        for name, matchers in re.findall(r"(?<![:\w])(lbproxy_\w+)(?:\{([^}]*)\})?", text):
            assert name in labels, rule
            assert set(re.findall(r"(\w+)\s*(?:=|!)", matchers)) <= labels[name], rule
