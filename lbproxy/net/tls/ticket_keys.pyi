import ssl

SIZE: int

def set_keys(context: ssl.SSLContext, keys: bytes) -> bool: ...
