import ssl
from collections.abc import Sequence

SIZE: int
MOST: int

class TicketKeys:
    def __init__(self, keys: Sequence[bytes]) -> None: ...
    def set(self, keys: Sequence[bytes]) -> None: ...
    def serve(self, context: ssl.SSLContext) -> bool: ...
