"""The directory, over LDAP.

session  a connection to it: simple bind, or GSSAPI with a ticket (needs the extra `doctor`)
"""
