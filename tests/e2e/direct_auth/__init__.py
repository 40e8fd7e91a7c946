"""Direct auth against real implementations: nobody is ever answered as somebody else (docs/lanes.md).

The realm is MIT's KDC; the connectors are Apache with mod_auth_gssapi (and gss-ntlmssp for NTLM) and the sample
connector; the clients are MIT's gssapi, pyspnego and Chromium. Debian has all of it: apache2-bin,
libapache2-mod-auth-gssapi, gss-ntlmssp, chromium.

    place.py     the files that every instance reads, and its environment
    instance.py  one connector as processes: started, killed, started again where it was
    apache.py    Apache as a connector        sample.py  the sample connector as one
    person.py    a user: fresh Kerberos tickets, NTLM and SPNEGO exchanges of several legs
    answer.py    what a connector's answer says: as whom, by which instance, to which request
    reaper.py    kills instances in turn         jury.py    judges and counts answers
    browser.py   Chromium
    crowd.py     hundreds of people and strangers at once, while instances are killed

LBPROXY_FULL=1 runs the long tests at their full length.
"""
