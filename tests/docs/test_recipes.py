"""Every block of the recipes is run by a test, and as it is printed: which one is said here."""

from __future__ import annotations

from pathlib import Path

import pytest

from .pages import blocks

TESTS = Path(__file__).parents[1]

RUN_BY = {
    "connectors/auth0.md": {
        "lbproxy instance pack": "docs/test_connectors.py::test_a_second_auth0_connector",
        "lbproxy instance apply": "docs/test_connectors.py::test_a_second_auth0_connector",
        "[Unit]": "docs/test_connector_unit.py::test_systemd_accepts_it",
        "tcp dport 4000 ip saddr": "docs/test_connector_hosts.py::test_with_the_printed_rules_only_the_balancer_does",
        "tcp dport 4080": "docs/test_connector_hosts.py::test_with_apache_only_this_host_reaches_port",
        "nft -f": "deployment/test_connector_host.py::test_the_firewall_is_loaded_and_stays",
        "--from-elsewhere": "docs/test_connector_hosts.py::test_without_rules_everybody_gets_in",
        "server_url =": "docs/test_configurations.py::test_it_is_fit_to_run",
        "a2enmod": "deployment/test_connector_host.py::test_apache_is_set_up_as_printed",
        "<VirtualHost": "docs/test_connector_apache.py::test_a_ticket_names_the_user_whatever_the_client_says",
        "lbproxy init": "docs/test_connector_apache.py::test_the_balancers_file_signs_in_at_each",
        "rollout": "e2e/test_rollout.py::test_the_printed_commands",
    },
    "connectors/apono.md": {
        "instance pack": "docs/test_connectors.py::test_a_second_apono_connector",
        "instance apply": "docs/test_connectors.py::test_a_second_apono_connector",
        "server_url =": "docs/test_configurations.py::test_it_is_fit_to_run",
    },
    "connectors/other.md": {"server_url =": "docs/test_configurations.py::test_it_is_fit_to_run"},
    "migrating.md": {
        "import haproxy": "docs/test_migrating.py::test_from_haproxy",
        "import nginx": "docs/test_migrating.py::test_from_nginx",
    },
}
"""By page, then by words that only that block has: a test that runs it."""


@pytest.mark.parametrize("page", RUN_BY)
def test_every_block_has_one(page: str) -> None:
    found = [[words for words in RUN_BY[page] if words in one.text] for one in blocks(page)]
    assert sorted(words for [words] in found) == sorted(RUN_BY[page]), found


@pytest.mark.parametrize("test", sorted({test for tests in RUN_BY.values() for test in tests.values()}))
def test_it_is_there(test: str) -> None:
    path, _, name = test.partition("::")
    assert f"def {name}(" in (TESTS / path).read_text()
