from pathlib import Path

HUGE: int
SETTING: Path

def ranges(maps: str) -> list[tuple[int, int]]: ...
def collapse(setting: Path = ...) -> int: ...
