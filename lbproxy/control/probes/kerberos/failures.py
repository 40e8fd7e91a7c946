"""ONE table: why a sign-in fails. Each row feeds the metric label, the log, the status and docs/kerberos.md."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum


class Failure(Enum):
    """A row: `label` for metrics and logs, `text` for people, `blames` the connector or not, `remedy` for the manual.

    Only a row that blames the connector ("it" in the texts) is a bad probe. The others are between lbproxy and the
    KDC: connectors and users do not depend on that, so they are a warning for the pool.
    """

    def __init__(self, label: str, blames: bool, text: str, remedy: str) -> None:
        self.label = label
        self.blames = blames
        self.text = text
        self.remedy = remedy

    def __repr__(self) -> str:
        return f"<{self.label}>"

    # --- between lbproxy and the KDC
    KDC_UNREACHABLE = (
        "kdc_unreachable",
        False,
        "no KDC of the realm answers",
        "the KDCs; `krb5.conf` and DNS on lbproxy's machine; a firewall on port 88",
    )
    PRINCIPAL_UNKNOWN = (
        "probe_principal_unknown",
        False,
        "the KDC does not know the probe's principal",
        "`principal`, letter by letter: case counts; whether the account still exists",
    )
    KEYTAB_UNUSABLE = (
        "probe_keytab_unusable",
        False,
        "the probe's keytab cannot be read or has no key of its principal",
        "`keytab`: the file, its permissions, `klist -k`",
    )
    KEY_WRONG = (
        "probe_key_wrong",
        False,
        "the KDC refuses the key in the probe's keytab",
        "the account's password was changed: export its keytab again",
    )
    ACCOUNT_DISABLED = (
        "probe_account_disabled",
        False,
        "the probe's account is disabled",
        "the account: enable it",
    )
    ACCOUNT_LOCKED = (
        "probe_account_locked",
        False,
        "the probe's account is locked",
        "who tried wrong passwords: `badPwdCount`, an old keytab elsewhere; unlock the account",
    )
    ACCOUNT_EXPIRED = (
        "probe_account_expired",
        False,
        "the probe's account expired",
        "the account's expiry date",
    )
    PASSWORD_EXPIRED = (
        "probe_password_expired",
        False,
        "the password of the probe's account expired or must be changed",
        "let its password never expire, or change it and export its keytab again",
    )
    ACCOUNT_RESTRICTED = (
        "probe_account_restricted",
        False,
        "the probe's account may not sign in at this hour or from this machine",
        "the account's logon hours and workstations",
    )
    ACCOUNT_REVOKED = (
        "probe_account_revoked",
        False,
        "the probe's account is disabled, locked or expired, and the KDC does not say which",
        "the account; the KDC's log. A Samba KDC says nothing more when the account is locked",
    )
    ENCTYPE = (
        "enctype_refused",
        False,
        "the KDC has no encryption type in common with the probe's keytab or the service's account",
        "`klist -ke` of the keytab; in Active Directory `msDS-SupportedEncryptionTypes` of both accounts; "
        "`permitted_enctypes` in `krb5.conf`",
    )
    SPN_UNKNOWN = (
        "spn_unknown",
        False,
        "the KDC knows no service of this SPN",
        "`spn`; in Active Directory `setspn -Q`, and `setspn -X` for duplicates: a Samba KDC knows no such SPN either",
    )
    SPN_DUPLICATE = (
        "spn_duplicate",
        False,
        "several accounts have this SPN",
        "`setspn -X`; leave it to the account whose keytab the connectors have",
    )
    SPN_KEY = (
        "spn_key_changed",
        False,
        "no connector has the key that the KDC makes tickets with",
        "whether the SPN moved to another account (`setspn -Q`), its account's password was changed, or its "
        "`msDS-SupportedEncryptionTypes`: then every connector needs the new keytab",
    )
    KDC_SKEW = (
        "kdc_clock_skew",
        False,
        "the clocks of this machine and the KDC are too far apart",
        "time synchronisation on lbproxy's machine, then on the KDC",
    )
    KDC_REFUSED = (
        "kdc_refused",
        False,
        "the KDC gives the probe no ticket",
        "the detail, which is the KDC's own text: a policy, for example",
    )
    # --- the connector
    UNREACHABLE = (
        "connector_unreachable",
        True,
        "no connection to it",
        "whether it runs; the address; its TLS certificate",
    )
    HUNG = ("connector_hung", True, "it does not answer", "the connector and what it waits for; `timeout`")
    BROKEN = (
        "connector_broken",
        True,
        "its answer is not HTTP, or breaks off",
        "`url`; the connector's log",
    )
    STATUS = (
        "connector_status",
        True,
        "it answered with another status than expected",
        "`path` and `expect`; the connector's log",
    )
    NO_NEGOTIATE = (
        "connector_no_negotiate",
        True,
        "it answered 401 without offering Negotiate",
        "whether Kerberos is turned on there",
    )
    KEY = (
        "connector_key",
        True,
        "it refuses a fresh ticket: an old key, or the wrong keytab",
        "install the current keytab there; compare the version in the detail with that of `klist -k`",
    )
    SKEW = (
        "connector_clock_skew",
        True,
        "it refuses a fresh ticket: its clock is wrong",
        "time synchronisation on the connector's machine",
    )
    REFUSED = (
        "connector_refused",
        True,
        "it refuses a fresh ticket for another reason",
        "the detail has the error's number (RFC 4120 section 7.5.9); the connector's log",
    )
    MUTUAL_MISSING = (
        "mutual_token_missing",
        True,
        "it let the probe in without a proof that it has the service's key",
        "`path`: is it a page that needs no sign-in? Is Kerberos turned on there?",
    )
    MUTUAL_WRONG = (
        "mutual_token_wrong",
        True,
        "its proof that it has the service's key is wrong",
        "something else answers at this address, or changes headers on the way",
    )


class KerberosFailure(Exception):
    """A sign-in failed: which row of the table, and the particulars for people."""

    def __init__(self, failure: Failure, detail: str) -> None:
        super().__init__(failure, detail)
        self.failure = failure
        self.detail = detail

    def copy(self) -> KerberosFailure:
        """One to keep, or to raise again: an exception collects the frames that it goes through, each time."""
        return KerberosFailure(self.failure, self.detail)

    def told(self) -> list[str]:
        """It as JSON has it, for another process."""
        return [self.failure.label, self.detail]

    @classmethod
    def heard(cls, told: Sequence[str] | None) -> KerberosFailure | None:
        """What another one told; None if that is nothing, or a row that only another version knows."""
        rows = {failure.label: failure for failure in Failure}
        return cls(rows[told[0]], told[1]) if told is not None and told[0] in rows else None

    def __str__(self) -> str:
        return f"{self.failure.text} ({self.detail})"


def clock_difference(seconds: float) -> str:
    """One of "600 s ahead of" or "600 s behind", as a clock is of another."""
    return f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'}"
