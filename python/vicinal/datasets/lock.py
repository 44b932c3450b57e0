"""What is known of a file in the cache: ``<file>.lock.json`` beside it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from vicinal.datasets.errors import DatasetError
from vicinal.io._check import replacing_file

__all__ = ["Lock", "lock_path"]


@dataclass(frozen=True)
class Lock:
    """Checksum, origin, and the stamp by which a change of the file shows."""

    sha256: str
    url: str
    bytes: int
    modified_ns: int
    published: bool
    """The checksum was known before the file came; else it is that of the first download."""

    @classmethod
    def of(cls, path: Path, sha256: str, url: str, published: bool) -> Lock:
        """Describe the file as it is now."""
        status = path.stat()
        return cls(sha256, url, status.st_size, status.st_mtime_ns, published)

    @classmethod
    def read(cls, path: Path) -> Lock | None:
        """Read what was recorded for a file; None if nothing was."""
        where = lock_path(path)
        try:
            lock = cls(**json.loads(where.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise DatasetError(f"{where} is damaged ({error}); delete it to record anew") from error
        kinds = {"sha256": str, "url": str, "bytes": int, "modified_ns": int, "published": bool}
        for name, kind in kinds.items():
            if not isinstance(getattr(lock, name), kind):
                raise DatasetError(f"{where} is damaged ({name}); delete it to record anew")
        return lock

    def write(self, path: Path) -> None:
        """Record this for a file."""
        with replacing_file(lock_path(path)) as file:
            file.write((json.dumps(asdict(self), indent=2) + "\n").encode())

    def untouched(self, path: Path) -> bool:
        """Whether the file has the size and the time of change that were recorded."""
        status = path.stat()
        return (status.st_size, status.st_mtime_ns) == (self.bytes, self.modified_ns)


def lock_path(path: Path) -> Path:
    """Name of the file that holds what is known of another."""
    return path.with_name(f"{path.name}.lock.json")
