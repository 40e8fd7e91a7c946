"""The start of the one-file program, unpacked: it is `lbproxy`, and the interpreter that `lbproxy.program` counts on.

The launcher leaves _LBPROXY_FILE: a descriptor that holds what is unpacked, and the path of the file that was started.
"""

import os
import sys

_AUTHORITIES = ("/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem")
"""Where other distributions keep the authorities that the system believes; this OpenSSL looks where Debian does."""


def _prepare() -> None:
    """Nothing of how this was started stays in the environment: other programs have libraries of their own."""
    for name in [name for name in os.environ if name.startswith(("_PYI_", "LD_LIBRARY_PATH"))]:
        del os.environ[name]
    if "_LBPROXY_LIBRARIES" in os.environ:
        os.environ["LD_LIBRARY_PATH"] = os.environ.pop("_LBPROXY_LIBRARIES")
    held, _, sys.executable = os.environ.pop("_LBPROXY_FILE").partition(":")
    os.set_inheritable(int(held), False)
    if not os.access("/usr/lib/ssl/certs", os.R_OK) and "SSL_CERT_FILE" not in os.environ:
        found = [path for path in _AUTHORITIES if os.access(path, os.R_OK)]
        if found:
            os.environ["SSL_CERT_FILE"] = found[0]


def _main() -> None:
    match sys.argv[1:]:
        case ["-P", "-m", module, *arguments] if module.partition(".")[0] == "lbproxy":
            import runpy

            sys.argv[1:] = arguments
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case _:
            from lbproxy.cli import main

            main(prog_name="lbproxy")


_prepare()
_main()
