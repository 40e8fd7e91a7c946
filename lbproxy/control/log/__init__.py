"""What lbproxy itself has to say: one line an event, written without waiting for the disk.

log          the operational log: events as key=value lines
level        how much it says, while lbproxy runs
line_writer  lines to a file or pipe, by a thread of its own
timestamp    the time as the logs write it
unraisable   what Python could raise nowhere, as an event
"""

from lbproxy.control.log.log import LEVELS, LineFormatter, LineHandler, announce, event, set_level, setup

__all__ = ["LEVELS", "LineFormatter", "LineHandler", "announce", "event", "set_level", "setup"]
