from lbproxy.net.http.phases import Phase
from lbproxy.net.transport.poller import Handler
from lbproxy.net.transport.stream import Stream
from lbproxy.net.upstream.lane import Lane
from lbproxy.reasons import Reason

class Relay(Handler):
    policy: object
    client: Stream
    link: Stream | None
    phase: Phase
    follows: bool
    watch: bool
    lane: Lane | None
    served_by: Lane | None
    closes: bool
    status: int
    bytes_in: int
    bytes_out: int
    body_sent: int
    has_body: bool
    body_kept: bool
    sent: float
    first_byte: float
    def keep_body(self, limit: int) -> None: ...
    def untouched(self) -> bool: ...
    def move(self, reason: Reason) -> None: ...
    def run(self, link: Stream, fresh: bool) -> None: ...
