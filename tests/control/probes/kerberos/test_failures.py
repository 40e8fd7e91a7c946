from __future__ import annotations

import re
from pathlib import Path

import pytest

from lbproxy.control.probes.kerberos.failures import Failure, KerberosFailure, clock_difference

DOCS = Path(__file__).parents[4] / "docs" / "kerberos.md"


def test_labels_are_fit_for_metrics_and_differ() -> None:
    labels = [failure.label for failure in Failure]
    assert len(set(labels)) == len(labels)
    assert all(re.fullmatch(r"[a-z_]+", label) for label in labels)


def test_nothing_about_the_kdc_or_the_probe_itself_blames_the_connector() -> None:
    assert {failure.label for failure in Failure if not failure.blames} == {
        "kdc_unreachable",
        "kdc_clock_skew",
        "kdc_refused",
        "probe_principal_unknown",
        "probe_keytab_unusable",
        "probe_key_wrong",
        "spn_unknown",
        "spn_duplicate",
        "spn_key_changed",
        "enctype_refused",
        "probe_account_disabled",
        "probe_account_expired",
        "probe_account_locked",
        "probe_account_restricted",
        "probe_account_revoked",
        "probe_password_expired",
    }


def test_the_manual_has_the_same_table() -> None:
    rows = [
        f"| `{failure.label}` | {failure.text} | {'yes' if failure.blames else 'no'} | {failure.remedy} |"
        for failure in Failure
    ]
    table = DOCS.read_text().partition("<!-- reasons -->")[2].partition("<!-- end of reasons -->")[0]
    assert [line for line in table.splitlines() if line.startswith("| `")] == rows


def test_in_words() -> None:
    failure = KerberosFailure(Failure.HUNG, "no answer within 1 s")
    assert str(failure) == "it does not answer (no answer within 1 s)"
    assert repr(failure.failure) == "<connector_hung>"


@pytest.mark.parametrize(("seconds", "words"), [(599.6, "600 s ahead of"), (-301, "301 s behind")])
def test_clock_differences(seconds: float, words: str) -> None:
    assert clock_difference(seconds) == words


def test_another_process_hears_of_it() -> None:
    failure = KerberosFailure(Failure.KEY, "401")
    heard = KerberosFailure.heard(failure.told())
    assert heard is not None
    assert str(heard) == str(failure)
    assert KerberosFailure.heard(None) is None
    assert KerberosFailure.heard(["a_row_of_the_next_version", ""]) is None
