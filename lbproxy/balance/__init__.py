"""Which backend gets the next request. No I/O and no clock: the time is an argument, in monotonic seconds.

Backend      one connector instance: its address, its health state and its counters
Rotation     the backends that may be picked now, taken in turn
health       what a probe's result, or a failure seen by user traffic, means for a backend
SlowStart    how much of its turns a backend gets that came back
Pool         the backends of one listener: owns the rotation, applies health, tells who listens
condition    how a backend is, as one process tells another
consistency  which backends differ from the others, and whom to keep out for it
retry        whether a request may be sent a second time, and how many may be
"""
