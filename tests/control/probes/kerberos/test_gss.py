from __future__ import annotations

import subprocess
import sys

import pytest

from lbproxy.control.probes.kerberos import gss
from lbproxy.control.probes.kerberos.failures import Failure
from tests.control.probes.kerberos.peers import PRINCIPAL, Corp


def test_credentials_move_from_one_cache_to_another(corp: Corp) -> None:
    gss.store(corp.sign_in().credentials(), "MEMORY:test-gss")
    assert str(gss.credentials("MEMORY:test-gss").name) == PRINCIPAL


def test_an_error_in_words(corp: Corp) -> None:
    """The mechanism's own, without GSS-API's "Unspecified GSS failure"."""
    with pytest.raises(gss.GSSError) as caught:
        gss.credentials("MEMORY:test-gss-nothing").inquire()
    failure = gss.failure(caught.value, gss.FAILURES)
    assert failure.failure is Failure.KDC_REFUSED
    assert failure.detail == gss.text(caught.value)
    assert "Unspecified" not in failure.detail


@pytest.mark.parametrize("module", ["gss", "sign_in", "credentials"])
def test_without_gssapi_the_extra_is_named(module: str) -> None:
    code = (
        "import sys; sys.modules['gssapi'] = None\n"
        "from lbproxy.errors import MissingExtraError\n"
        "try:\n"
        f"    import lbproxy.control.probes.kerberos.{module}\n"
        "except MissingExtraError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "a Kerberos check needs an optional part: install lbproxy[kerberos]\n"
