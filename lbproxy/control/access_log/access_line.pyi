from lbproxy.record import Record

MAX_TARGET: int
MAX_USER_AGENT: int
MAX_USER: int
MAX_HOST: int
MAX_METHOD: int

def line(record: Record) -> str: ...
