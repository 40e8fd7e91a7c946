"""What the files of an Auth0 AD/LDAP connector mean: the values that instances have to share, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lbproxy.instance import digests
from lbproxy.instance.kinds import auth0_keys as keys
from lbproxy.instance.kinds.auth0_settings import MAPPER, grouped, mapper_path, text
from lbproxy.instance.model import Area, File, Instance, Openness, Value, find

ASPECTS = {
    "server_url": "The connector posts SERVER_URL to the tenant when it starts. The tenant then sends every user to the"
    " SERVER_URL of the instance that started last: past the balancer, if that one is not the balancer's.",
    "session_secret": "A user who has signed in at one instance is unknown to the other, which shows the form for the"
    " password again. With a secret that is not 32 characters long, sign-ins fail with 500.",
    "signing": "The tenant has the certificate of the instance that started last, and refuses the tokens of the other:"
    " its users cannot sign in.",
    "mapper": "The instances tell the tenant different attributes, or another user, for the same login.",
    "version": "A user's requests reach connectors of two versions; what one began the other may not understand.",
    "program": "The installed programs are not the same, whatever their versions say.",
    "ca_cert": "Users with a certificate of an authority that only one instance has are refused by the other.",
    "ssl_pfx": "The instances present different TLS certificates: some connections end with a warning or an error.",
    "ldap": "The instances look for users elsewhere, or in another way: some sign-ins fail, or groups are missing.",
    "tenant": "The instances belong to different connections, or their tokens are for another audience: the tenant"
    " refuses sign-ins.",
    "views": "Users see different pages, depending on the instance.",
    "authorities": "One instance does not trust the tenant, or LDAP over TLS, and does not start or cannot sign in.",
    "keytab": "The instance with the older key refuses the Kerberos tickets of users.",
    "settings": "The instances work in different ways.",
}  # fmt: skip

PARTS = {
    "MAX_HEADER_SIZE": "Users in many groups get 431 from one instance, and are signed in by the other.",
    "KERBEROS_AUTH": "One instance signs users in with Kerberos, and the other asks for a password.",
    "WITH_KERBEROS_PROXY_FRONTEND": "One instance listens for users, and the other does not.",
    "CLIENT_CERT_AUTH": "One instance speaks TLS and wants certificates of users, and the other does not.",
    "KERBEROS_DEBUG_USER": "One instance signs everybody in as that one user.",
    "LDAP_BIND_PASSWORD": "One instance cannot sign in at the directory, and no user can sign in there.",
    "LDAP_USER_BY_NAME": "The same user name finds another user, or none.",
    "TENANT_SIGNING_KEY": "One instance refuses what the tenant asks of it.",
    "PROVISIONING_TICKET": "The instances belong to different connections of the tenant.",
}

SECRET_LENGTH = 32  # bytes of the key of AES-256-GCM, which SESSION_SECRET is


@dataclass(slots=True)
class Meaning:
    """Collects what is to be said of `files`; `settings` are those that the connector goes by."""

    files: Sequence[File]
    config: Mapping[str, Any]
    variables: Mapping[str, str]
    settings: Mapping[str, Any]
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def instance(self) -> Instance:
        """Call it once."""
        signing = self._signing()
        values = {
            "version": {"version": self._fact("version")},
            "program": {"program": self._fact("program")},
            "server_url": {"SERVER_URL": Value(self._text("SERVER_URL"), Openness.PUBLIC)},
            "session_secret": {"SESSION_SECRET": Value(self._text("SESSION_SECRET"))},
            "signing": {"certificate": Value(signing.fingerprint, Openness.PUBLIC)},
            "mapper": {"mapper": self._mapper()},
            "ca_cert": {"CA_CERT": self._authorities()},
            "ssl_pfx": {"SSL_PFX": self._server_key()},
            "views": self._digests(lambda file: file.path.startswith(("views/", "public/"))),
            "authorities": self._digests(self._is_authority),
            **grouped(self.settings),
        }
        values["ldap"]["LDAP_BIND_PASSWORD"] = Value(self._ldap_password())
        keytab = find(self.files, Area.KEYTAB)
        if keytab is not None:
            values["keytab"] = {"keytab": Value(keytab.content.hex())}
        self._judge(signing)
        return Instance("auth0", values, self.files, signing.material or None, self.problems, self.warnings)

    # --- values

    def _text(self, name: str) -> str:
        return text(self.settings.get(name))

    def _fact(self, name: str) -> Value:
        file = find(self.files, Area.PROGRAM, name)
        return Value("" if file is None else file.content.decode("utf-8", "replace"), Openness.PUBLIC)

    def _digests(self, chosen: Any) -> dict[str, Value]:
        return {
            file.path: Value(digests.text_digest(file.content), Openness.PUBLIC)
            for file in self.files
            if file.area in (Area.INSTANCE, Area.CA) and chosen(file)
        }

    def _is_authority(self, file: File) -> bool:
        below = self._text("SSL_CA_PATH").removeprefix("./").rstrip("/")
        return file.area is Area.CA or bool(below and file.path.startswith(f"{below}/"))

    def _mapper(self) -> Value:
        inline, named = self._text("PROFILE_MAPPER"), self._text("PROFILE_MAPPER_FILE")
        if inline:
            return Value(digests.text_digest(inline.encode()), Openness.PUBLIC)
        path = mapper_path(named) if named else MAPPER
        if path is None:
            if not find(self.files, Area.PROGRAM, "mapper"):
                self.problems.append(f"PROFILE_MAPPER_FILE: {named} is not known here")
            else:
                self.problems.append(
                    f"PROFILE_MAPPER_FILE: {named} is outside of the install folder; name it as ./FILE"
                )
            return self._fact("mapper")
        file = find(self.files, Area.INSTANCE, path)
        if file is None:
            self.problems.append(f"{path}: is missing")
        return Value("" if file is None else digests.text_digest(file.content), Openness.PUBLIC)

    def _signing(self) -> keys.Signing:
        certificate, key = self._text("AUTH_CERT"), self._text("AUTH_CERT_KEY")
        if certificate and key:
            return keys.signing(certificate.encode(), key.encode(), "AUTH_CERT and AUTH_CERT_KEY")
        found = [find(self.files, Area.INSTANCE, f"certs/{name}") for name in ("cert.pem", "cert.key")]
        if found[0] is None or found[1] is None:
            return keys.Signing(
                "", "", b"", "certs/cert.pem and certs/cert.key: are missing; the first start makes them"
            )
        return keys.signing(found[0].content, found[1].content, "certs/cert.pem and certs/cert.key")

    def _signing_key_as_written(self) -> bytes:
        file = find(self.files, Area.INSTANCE, "certs/cert.key")
        return self._text("AUTH_CERT_KEY").encode() or (b"" if file is None else file.content)

    def _ldap_password(self) -> str:
        plain, encrypted = self._text("LDAP_BIND_PASSWORD"), self._text("LDAP_BIND_CREDENTIALS")
        if plain or not encrypted:
            return plain
        password = keys.ldap_password(encrypted, self._signing_key_as_written())
        if password is None:
            self.problems.append(
                "LDAP_BIND_CREDENTIALS: are not encrypted under certs/cert.key; config.json and certs/ are of different"
                " instances"
            )
        return encrypted if password is None else password

    def _authorities(self) -> Value:
        found = keys.authorities(self.settings.get("CA_CERT"))
        if found.problem:
            self.problems.append(found.problem)
        return Value(",".join(found.fingerprints), Openness.PUBLIC)

    def _server_key(self) -> Value:
        pfx = self._text("SSL_PFX")
        if not pfx:
            return Value("", Openness.PUBLIC)
        found = keys.server_key(pfx, self._text("SSL_KEY_PASSWORD"))
        self.problems += [found.problem] if found.problem else []
        self.warnings += [found.warning] if found.warning else []
        return Value(found.raw) if found.raw else Value(",".join(found.fingerprints), Openness.PUBLIC)

    # --- what is wrong

    def _judge(self, signing: keys.Signing) -> None:
        if signing.problem:
            self.problems.append(signing.problem)
        self._judge_start(signing)
        secret = self._text("SESSION_SECRET")
        if len(secret.encode()) != SECRET_LENGTH:
            self.problems.append(
                f"SESSION_SECRET: has {len(secret.encode())} characters, and needs {SECRET_LENGTH}; make one with"
                " `openssl rand -hex 16`, set it in config.json, and restart the connector"
            )
        if not self._text("SERVER_URL"):
            self.problems.append("SERVER_URL: is missing; set it to the balancer's address before the first start")
        elif self._text("SERVER_URL").startswith("http://"):
            self.warnings.append(
                f"SERVER_URL: {self._text('SERVER_URL')} is not https; if it is the connector's own address, the tenant"
                " sends users past the balancer"
            )
        if self._text("KERBEROS_DEBUG_USER"):
            self.problems.append("KERBEROS_DEBUG_USER: is set, so everybody is signed in as that user; remove it")
        if self._text("CLIENT_CERT_AUTH") and not self._text("SSL_PFX"):
            self.problems.append("SSL_PFX: is missing, and CLIENT_CERT_AUTH needs it")
        if self._text("CLIENT_CERT_AUTH") and not self._text("CA_CERT"):
            self.problems.append("CA_CERT: is missing, and CLIENT_CERT_AUTH needs it")

    def _judge_start(self, signing: keys.Signing) -> None:
        """Whether it has started once: only then is it what others can be made of."""
        again = "start the connector until it says 'Connector setup complete.', then pack it"
        if self.variables.get("OVERRIDE_CONFIG") == "false":
            if not (self._text("AUTH_CERT") and self._text("AUTH_CERT_KEY")):
                self.problems.append(
                    "AUTH_CERT and AUTH_CERT_KEY: are needed in the environment with OVERRIDE_CONFIG=false"
                )
            return
        if text(self.config.get("LDAP_BIND_PASSWORD")):
            self.problems.append(
                f"LDAP_BIND_PASSWORD: is not encrypted yet, so the instance has not started once; {again}"
            )
        elif not self._text("LDAP_BIND_CREDENTIALS") and not self._text("ANONYMOUS_SEARCH_ENABLED"):
            self.problems.append(f"LDAP_BIND_CREDENTIALS: are missing, so the instance has not started once; {again}")
        sent = text(self.config.get("LAST_SENT_THUMBPRINT")).replace(":", "").lower()
        if not sent:
            self.problems.append(f"LAST_SENT_THUMBPRINT: is missing, so the instance has not started once; {again}")
        elif signing.thumbprint and sent != signing.thumbprint:
            self.problems.append(f"certs/cert.pem: is not the certificate that the tenant was told of; {again}")
