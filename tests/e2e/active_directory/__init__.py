"""A real Active Directory, real connectors, and what lbproxy makes of its failures (docs/kerberos.md).

The directory is Samba's, with users in 3, 400 and 1,000 groups (tests/active_directory.py); the connectors are Apache
with mod_auth_gssapi; the clients are curl, Chromium and Firefox. Samba and Firefox are heavy: all of this runs with
LBPROXY_FULL=1 only, and as root.

    causes.py   failures that are caused in the directory, each for a pool of its own
    firefox.py  the browser, without a display
"""
