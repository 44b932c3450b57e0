"""What the package raises and warns of.

A caller's mistake is a :class:`ValueError` or :class:`TypeError` that names the argument, what came
and what was wanted; nothing has changed then. What the operating system refuses is a plain
:class:`OSError` with its number and path, memory that is not there a :class:`MemoryError`.
"""

from __future__ import annotations

from vicinal._core import (
    ArgumentError,
    CancelledError,
    ConfigError,
    DimensionError,
    Error,
    FormatError,
)

__all__ = [
    "ArgumentError",
    "CancelledError",
    "ConfigError",
    "DimensionError",
    "Error",
    "FormatError",
    "RecallWarning",
]


class RecallWarning(UserWarning):
    """The recall asked for was not reached, or may not be: the index has changed since."""
