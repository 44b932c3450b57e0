"""What ends a comparison early, in words for the person at the terminal."""

from __future__ import annotations


class CompareError(Exception):
    """A revision does not exist, does not build or does not run; ``details`` is its last output."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details


def tail(text: str, lines: int = 20) -> str:
    return "\n".join(text.rstrip().splitlines()[-lines:])
