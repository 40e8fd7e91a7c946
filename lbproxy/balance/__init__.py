"""Which backend gets the next request. No I/O and no clock: the time is an argument, in monotonic seconds.

Backend      one connector instance: its address, its health state and its counters
Member       a backend as a source describes it; Membership merges what the sources want
Order        what an operator ordered of a backend's name
Pool         the live set of backends that a listener forwards to
Observer     the one feed: gets every join, leave and change
Placement    which backends are in rotation, with standbys and last resort
Rotation     the backends that may be picked now, taken in turn
health       what a probe's result, or a failure seen by user traffic, means for a backend
SlowStart    the part of its share that a backend gets after it came back
full_name    POOL/NAME, as text and apart
condition    how a backend is, as one process sends it to another
consistency  which backends differ from the others, and which are kept out for it
retry        whether a request may be sent a second time, and how many may
"""
