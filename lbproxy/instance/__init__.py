"""A connector's installation: what it is made of, how another one is made of it, and where the two differ.

kinds        the kinds of connectors: their files, what has to be equal, what must differ, what a difference does
model        Instance: files, and the values that are compared
digests      digests that can be compared and tell nothing; facts, which are one value for each aspect
pack         one file that has an instance: a manifest that can be read, and files that are sealed (sealing)
plan         what applying a pack would change, and why it may not
transaction  how files are changed: all or none, with a journal, and so that it can be undone; change has one file's
difference   in what two instances differ, and what users notice of it; operand has what can be compared
facts        what the consistency guard reads, over HTTP

It runs where connectors run, on Linux. The balancer does not import it.
"""
