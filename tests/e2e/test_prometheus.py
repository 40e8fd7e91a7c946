"""The rules in config/prometheus: promtool runs them on made-up series, and on what a faulty lbproxy really shows."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lbproxy.control.metrics.table import TABLE

from .backend import serve
from .balancer import Balancer, command
from .conftest import Backends, Balance
from .test_admin import metrics

RULES = Path(__file__).parents[2] / "config" / "prometheus" / "lbproxy.rules.yml"
AT = "20m"
"""When the alerts are looked at: later than each `for`."""

_TARGET = 'job="lbproxy",instance="lb1"'
_BACKEND = f'{{{_TARGET},pool="p",backend="c1"}}'

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed: tools/prepare debian full"
)

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


def promtool(*arguments: str) -> str:
    """What it prints; the test fails with that if promtool does not like what it is given."""
    done = subprocess.run(("promtool", *arguments), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


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


async def series_of(balancer: Balancer) -> dict[str, str]:
    """Its lbproxy_ metrics as they are now, and for 40 minutes."""
    found = {name: value for name, value in (await metrics(balancer)).items() if name.startswith("lbproxy_")}
    return {name: f"{value!r}x40" for name, value in found.items() if "_bucket" not in name}


@needs_promtool
async def test_promtool_accepts_the_rules() -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", str(RULES))


@needs_promtool
@pytest.mark.parametrize("alert", CASES)
async def test_an_alert_fires(tmp_path: Path, alert: str) -> None:
    fires(tmp_path, CASES[alert], alert)


@needs_promtool
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


@needs_promtool
async def test_real_faults_fire_their_alerts(backends: Backends, balance: Balance, tmp_path: Path) -> None:
    """The metrics of a balancer that has them are the series; each stays as it is for as long as an alert waits."""
    [c1, c2] = await backends(serve, serve)
    balancer = await balance(c1, c2, pool={"check": {"kind": "tcp", "interval": "50ms"}})
    await balancer.until(lambda seen: all(one["in_rotation"] for one in seen["pools"][0]["backends"]))
    fires(tmp_path, await series_of(balancer))

    await c2.stop()
    await balancer.until(lambda seen: seen["pools"][0]["backends"][1]["state"] != "up")
    fires(tmp_path, await series_of(balancer), "LbproxyBackendDown")

    await c1.stop()
    await balancer.until(lambda seen: not any(one["in_rotation"] for one in seen["pools"][0]["backends"]))
    sound = balancer.path.read_text()
    balancer.path.write_text(f"workerz = 2\n{sound}")
    assert (await command("reload", "-c", str(balancer.path)))[0] == 1
    series = await series_of(balancer)
    fires(tmp_path, series, "LbproxyBackendDown", "LbproxyPoolDown", "LbproxyReloadFailed")
