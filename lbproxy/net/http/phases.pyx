# cython: language_level=3
"""The phases of an exchange, and which of them may follow which: the table that `Relay.enter` keeps to."""


cdef str phase_name(Phase phase):
    """For logs: in lower case."""
    return Phase(phase).name.lower()


def moves():
    """{phase: the phases that may follow}, by their names in lower case."""
    return {phase_name(before): [phase_name(after) for after in Phase if may_follow(before, after)] for before in Phase}
