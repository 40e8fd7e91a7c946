"""What lbproxy itself has to say: one line an event, written without waiting for the disk.

log            the operational log: events as key=value lines
level          how much it says, while lbproxy runs
queued_writer  writes by a thread of its own: nothing waits for what takes the lines
line_writer    lines to a file or pipe
datagrams      lines to syslog or the journal
frames         what they take: RFC 5424, RFC 3164, and the journal's native protocol
timestamp      the time as the logs write it
unraisable     what Python could raise nowhere, as an event
"""

from lbproxy.control.log.log import (
    LEVELS,
    DatagramHandler,
    LineFormatter,
    LineHandler,
    LogHandler,
    announce,
    counted,
    event,
    finish,
    redirect,
    set_level,
    setup,
)

__all__ = [
    "LEVELS",
    "DatagramHandler",
    "LineFormatter",
    "LineHandler",
    "LogHandler",
    "announce",
    "counted",
    "event",
    "finish",
    "redirect",
    "set_level",
    "setup",
]
