"""Apache with mod_auth_gssapi as a connector: it says as whom it took a request, in JSON at /wsfed, in HTML at /."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.ports import free_port

from ..instance import Instance
from .place import Place

_PROGRAM = Path("/usr/sbin/apache2")
_MODULES = Path("/usr/lib/apache2/modules")
_LOADED = ("mpm_event", "authn_core", "authz_core", "authz_user", "auth_gssapi", "dir", "include")

# More threads than the tests have connections: an Apache whose threads are all busy closes connections that are idle.
# User is for root only, as whom Apache does not serve.
_CONFIGURATION = """\
ServerRoot {directory}
ServerName {name}
PidFile {directory}/{name}.pid
DefaultRuntimeDir {directory}
Listen 127.0.0.1:{port}
{modules}
{user}
ServerLimit 1
StartServers 1
ThreadLimit 300
ThreadsPerChild 300
MaxRequestWorkers 300
MinSpareThreads 1
MaxSpareThreads 300
ListenBacklog 1024
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
LimitRequestFieldSize 131072
ErrorLog /dev/stderr
ErrorLogFormat "%M"
LogLevel notice
DocumentRoot {pages}
<Directory {pages}>
    Options +Includes
    SetOutputFilter INCLUDES
    AuthType GSSAPI
    AuthName {name}
    GssapiConnectionBound {bound}
    {mechanisms}
    Require valid-user
</Directory>
"""

_JSON = """\
{{"user": "<!--#echo encoding="urlencoded" var="REMOTE_USER" -->", "instance": "{name}",
"path": "<!--#echo encoding="urlencoded" var="REQUEST_URI" -->"}}
"""
_HTML = '<!DOCTYPE html><title>{name}</title><p>You are <b id="user"><!--#echo var="REMOTE_USER" --></b>.</p>\n'


def apache(
    name: str,
    place: Place,
    bound: bool,
    ntlm: bool = False,
    environment: Mapping[str, str] | None = None,
    under: Sequence[str] = (),
) -> Instance:
    """`bound` is GssapiConnectionBound: identity stays on the connection. NTLM's legs need that.

    under: the command that runs it, if one does.
    """
    assert _PROGRAM.exists(), "apt-get install apache2-bin libapache2-mod-auth-gssapi gss-ntlmssp"
    pages = place.directory / f"{name}.pages"
    pages.mkdir()
    for page, text in (("wsfed", _JSON), ("index.html", _HTML)):
        (pages / page).write_text(text.format(name=name))
    port = free_port()
    mechanisms = ["krb5", "ntlmssp"] if ntlm else ["krb5"]
    file = place.directory / f"{name}.conf"
    file.write_text(
        _CONFIGURATION.format(
            directory=place.directory,
            name=name,
            port=port,
            pages=pages,
            modules="\n".join(f"LoadModule {module}_module {_MODULES}/mod_{module}.so" for module in _LOADED),
            user="User nobody\nGroup nogroup" if os.getuid() == 0 else "",
            bound="On" if bound else "Off",
            mechanisms="\n    ".join(f"GssapiAllowedMech {mechanism}" for mechanism in mechanisms),
        )
    )
    command = [*under, str(_PROGRAM), "-D", "FOREGROUND", "-f", str(file)]
    started = "AH00489:"  # "configured -- resuming normal operations"
    around = place.environment(name) | dict(environment or {})
    return Instance(name, port, command, place.directory / f"{name}.log", started, around)
