"""How a backend is named beyond its pool: POOL/NAME. Neither of the two has a slash in it."""

from __future__ import annotations


def join(pool: str, name: str) -> str:
    """POOL/NAME."""
    return f"{pool}/{name}"


def split(text: str) -> tuple[str, str]:
    """The pool and the name of POOL/NAME, which may have more slashes; of NAME alone, the pool is empty."""
    pool, slash, name = text.partition("/")
    return (pool, name) if slash else ("", text)
