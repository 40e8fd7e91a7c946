"""The directory, over LDAP.

account    an account, as its attributes say
groups     how many groups users are in, and how large that makes their tickets
session    a connection to it: simple bind, or GSSAPI with a ticket (needs the extra `doctor`)
questions  what is asked in one go
apart      that in a process of its own, which can be killed
errors     why it cannot be asked
"""
