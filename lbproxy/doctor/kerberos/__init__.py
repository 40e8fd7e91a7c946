"""What doctor reads of Kerberos that the library does not tell.

keytab     the entries of a keytab, without their keys
krb5_conf  krb5.conf, with what it includes
kdc        one question to one KDC: its clock, and the encryption types that it offers an account
"""
