"""The settings of the Auth0 AD/LDAP connector: config.json, the environment over it, and its defaults below it.

As its lib/initConf.js reads them. A setting that is falsy in JavaScript (false, null, "", missing) is the text "".
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from typing import Any

from lbproxy.errors import InstanceError
from lbproxy.instance.model import Openness, Value

DEFAULTS: Mapping[str, Any] = {
    "PORT": 4000,
    "SESSION_SECRET": "a1b2c3d4567",
    "AUTHENTICATION": "FORM",
    "LDAP_SEARCH_QUERY": "(&(objectCategory=person)(anr={0}))",
    "LDAP_SEARCH_RESULTS_OMIT_GROUPS": True,
    "LDAP_SEARCH_ALL_QUERY": "(objectCategory=person)",
    "LDAP_SEARCH_LIST_GROUPS_QUERY": "(objectCategory=group)",
    "LDAP_SEARCH_GROUPS": "(member:1.2.840.113556.1.4.1941:={0})",
    "LDAP_USER_BY_NAME": "(sAMAccountName={0})",
    "LDAP_NUMBER_OF_PARALLEL_BINDS": 1,
    "LDAP_HEARTBEAT_SEARCH_QUERY": "(&(objectclass=user)(|(sAMAccountName=foo)(UserPrincipalName=foo)))",
    "WSFED_ISSUER": "urn:auth0",
    "AGENT_MODE": True,
    "GROUPS": True,
    "LDAP_HEARTBEAT_SECONDS": 60,
    "GROUPS_TIMEOUT_SECONDS": 20,
    "GROUP_PROPERTY": "cn",
    "GROUP_PROPERTIES": [],
    "GROUPS_CACHE_SECONDS": 600,
    "GROUPS_DEREF_ALIASES": 0,
    "SSL_CA_FILE": ".+.(pem|crt|cer)$",
}
"""What the connector takes where nothing is set."""

MAPPER = "lib/profileMapper.js"

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # as JSON writes it; no path and no variable has one

OWN = "PORT"
"""What instances on one host must have each for itself, and what is never compared."""

OF_THE_HOST = frozenset(
    {"FIREWALL_RULE_CREATED", "LAST_SENT_THUMBPRINT", "HTTP_PROXY", "http_proxy", "CACHE_FILE", "OVERRIDE_CONFIG"}
)
"""What the connector, or its host, has for itself."""

TOLD_OTHERWISE = frozenset(
    {
        OWN, "SERVER_URL", "SESSION_SECRET", "CA_CERT", "SSL_PFX", "SSL_KEY_PASSWORD", "AUTH_CERT", "AUTH_CERT_KEY",
        "PROFILE_MAPPER", "PROFILE_MAPPER_FILE", "LDAP_BIND_PASSWORD", "LDAP_BIND_CREDENTIALS",
    }
)  # fmt: skip
"""Settings that are compared by what they mean, in aspects of their own."""

TENANT = frozenset({"AD_HUB", "WSFED_ISSUER", "CONNECTION", "REALM", "SITE_NAME"})
TENANT_SECRETS = frozenset({"PROVISIONING_TICKET", "TENANT_SIGNING_KEY"})

_INTERNAL = frozenset(
    {
        "AUTHENTICATION", "AGENT_MODE", "KERBEROS_AUTH", "CLIENT_CERT_AUTH", "WITH_KERBEROS_PROXY_FRONTEND",
        "MAX_HEADER_SIZE", "KERBEROS_DEBUG_USER", "SSL_CA_PATH", "SSL_CA_FILE", "ALLOW_PASSWORD_EXPIRED",
        "ALLOW_PASSWORD_CHANGE_REQUIRED", "ENABLE_WRITE_BACK", "ENABLE_ACTIVE_DIRECTORY_UNICODE_PASSWORD",
        "AUTO_UNLOCK_ON_PASSWORD_CHANGE", "ANONYMOUS_SEARCH_ENABLED", "WS_RECONNECT_INTERVAL_MS",
        "NODE_TLS_REJECT_UNAUTHORIZED", "NODE_EXTRA_CA_CERTS", "SSL_OPENSSLDIR_PATTERN",
    }
)  # fmt: skip
_OF_LDAP = ("LDAP_", "GROUP")  # prefixes, with ANONYMOUS_SEARCH_ENABLED

KNOWN = DEFAULTS.keys() | OF_THE_HOST | TOLD_OTHERWISE | TENANT | TENANT_SECRETS | _INTERNAL
"""Settings that are taken from the environment too, where most variables have nothing to do with the connector."""


def read_config(content: bytes) -> dict[str, Any]:
    """config.json. Raises InstanceError."""
    try:
        found = json.loads(content.decode("utf-8-sig"))
        written = json.dumps(found, ensure_ascii=False)
        written.encode()  # "\\ud800" is half a character, which UTF-8 has no bytes for
    except (ValueError, RecursionError) as error:
        place = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise InstanceError(f"config.json{place}: is not JSON") from None
    if not isinstance(found, dict):
        raise InstanceError("config.json: is not a JSON object")
    if _NUL.search(written):
        raise InstanceError("config.json: has a NUL character")
    return found


def of_connector(name: str) -> bool:
    """Whether a variable of the environment is one of the connector's settings."""
    return name in KNOWN or name.startswith(_OF_LDAP)


def effective(config: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """What the connector goes by: the environment, else config.json, else the default."""
    stored = {} if environment.get("OVERRIDE_CONFIG") == "false" else config
    set_there = {name: value for name, value in environment.items() if of_connector(name) or name in stored}
    return {**DEFAULTS, **stored, **set_there}


def text(value: Any) -> str:
    """For comparing: 4000 and "4000" are equal, and so is all that is falsy in JavaScript, but 0, which is a number."""
    if isinstance(value, str):
        return value
    if value is None or value is False:
        return ""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def grouped(settings: Mapping[str, Any]) -> dict[str, dict[str, Value]]:
    """The settings that are compared as they are, by aspect: ldap, tenant, settings."""
    found: dict[str, dict[str, Value]] = {"ldap": {}, "tenant": {}, "settings": {}}
    realm = text(settings.get("REALM"))
    for name, value in sorted(settings.items()):
        if name in OF_THE_HOST or name in TOLD_OTHERWISE:
            continue
        if name.startswith(_OF_LDAP) or name == "ANONYMOUS_SEARCH_ENABLED":
            found["ldap"][name] = Value(text(value), Openness.INTERNAL)
        elif name in TENANT or name == realm:  # the realm's own name leads to the address that tokens are posted to
            found["tenant"][name] = Value(text(value), Openness.INTERNAL)
        elif name in TENANT_SECRETS:
            found["tenant"][name] = Value(text(value))
        else:
            found["settings"][name] = Value(text(value), Openness.INTERNAL if name in _INTERNAL else Openness.SECRET)
    return found


def mapper_path(named: str) -> str | None:
    """PROFILE_MAPPER_FILE below the install folder, as `require` in lib/ finds it; None: it is elsewhere."""
    path = posixpath.normpath(posixpath.join("lib", named))
    if not named.startswith(("./", "../")) or path.startswith(".."):
        return None
    return path if path.endswith((".js", ".json", ".cjs")) else f"{path}.js"
