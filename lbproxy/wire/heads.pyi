from enum import IntEnum

from lbproxy.wire.fields import FieldSection

class Framing(IntEnum):
    NO_BODY = 0
    BY_LENGTH = 1
    CHUNKED = 2
    UNTIL_CLOSE = 3

class Head(FieldSection):
    framing: Framing
    length: int
    minor: int
