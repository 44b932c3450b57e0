"""What goes wrong between here and a server."""

from __future__ import annotations

__all__ = ["DatasetError", "HashError"]


class DatasetError(OSError):
    """A data set cannot be had: no network, no such file, no room, or not in the cache."""


class HashError(DatasetError):
    """A file is not the one it should be."""
