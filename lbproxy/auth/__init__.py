"""Who is speaking, and what that means for the lanes. No I/O.

Credential         what a request's Authorization is: nothing, complete in itself, or leaning on its connection
Challenge          whether a response asks for Negotiate or NTLM, or carries a token of theirs
Binding            one client connection's place in the rule of lanes: which lane its next request may use
ClientCertificate  a user's verified certificate, and the header lines that tell a backend of it
Mint               makes short-lived certificates in a user's name, for backends that believe no header
"""
