from lbproxy.wire.fields import FieldTable
from lbproxy.wire.heads import Framing

class Body:
    framing: Framing
    done: bool
    remaining: int
    def begin(
        self,
        framing: Framing,
        length: int = ...,
        decode: bool = ...,
        table: FieldTable | None = ...,
        bare_lf: bool = ...,
    ) -> None: ...
    def feed(self, data: bytes) -> tuple[bytes, int]: ...
