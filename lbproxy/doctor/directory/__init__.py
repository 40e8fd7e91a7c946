"""The directory, over LDAP.

account  an account, as its attributes say
groups   how many groups users are in, and how large that makes their tickets
session  a connection to it: simple bind, or GSSAPI with a ticket (needs the extra `doctor`)
"""
