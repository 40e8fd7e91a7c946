from enum import IntEnum

class Phase(IntEnum):
    IDLE = 0
    WAITING = 1
    SENT = 2
    ANSWERING = 3
    UPLOADING = 4
    ENDED = 5

def moves() -> dict[str, list[str]]: ...
