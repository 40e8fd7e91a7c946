"""Everything between users and connectors, looked at: what was found, why it matters, and what repairs it.

finding      a check, and what it says: ok, warning, problem, or not seen
examination  all checks at once, each within its time; threads that hang delay nothing
once         what several checks need is had once
summary      the exit status, and JSON
balancer     the checks of a balancer's host
connector    the checks of a connector's host
elsewhere    the checks of a third host, which should reach no connector past the balancer
kerberos     what is read of Kerberos without its library

It changes nothing. A sign-in that is tried is tried once, and no secret is printed.
"""
