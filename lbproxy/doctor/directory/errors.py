"""Why a directory cannot be asked."""

from __future__ import annotations


class DirectoryError(Exception):
    """It cannot be asked, or refuses; the text never has what was sent."""

    def __init__(self, reason: str, refused: bool = False) -> None:
        """refused: it answers, and does not accept the credentials."""
        super().__init__(reason)
        self.refused = refused

    def __reduce__(self) -> tuple[type[DirectoryError], tuple[str, bool]]:
        return type(self), (str(self), self.refused)
