"""Opening, describing and checking saved indexes; pickling, which goes through such files."""

from __future__ import annotations

import copyreg
import json
import os
import tempfile
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from vicinal import _core
from vicinal._convert import as_path, format_error
from vicinal._types import Path, Progress
from vicinal.binary import BinaryIndex
from vicinal.errors import ArgumentError
from vicinal.flat import FlatIndex
from vicinal.hnsw import HNSWIndex
from vicinal.ivf import IVFIndex

__all__ = ["FileInfo", "Section", "info", "open", "verify"]

Mode: TypeAlias = Literal["map", "load"]
AnyIndex: TypeAlias = FlatIndex | HNSWIndex | IVFIndex | BinaryIndex

#: Of metadata. Settings take some hundred values, five deep.
MOST_VALUES, DEEPEST = 1 << 18, 32


@dataclass(frozen=True)
class Section:
    """One part of a file.

    Attributes
    ----------
    name : str
    offset, bytes : int
        Where it lies, in bytes from the start of the file, and how long it is.
    crc32c : int
        Its checksum.
    """

    name: str
    offset: int
    bytes: int
    crc32c: int


@dataclass(frozen=True)
class FileInfo:
    """What a file says of itself.

    Attributes
    ----------
    path : str
    version : int
        Of the format.
    kind : str
        "flat", "hnsw", "ivf" or "binary".
    header : dict
        What the index needs to open itself again.
    metadata : dict or str
        Settings and report as Python keeps them; the plain text if it is not theirs.
    file_bytes : int
    sections : tuple of Section
    """

    path: str
    version: int
    kind: str
    header: dict[str, Any]
    metadata: dict[str, Any] | str
    file_bytes: int
    sections: tuple[Section, ...]

    def __str__(self) -> str:
        width = max((len(section.name) for section in self.sections), default=0)
        lines = [
            f"{self.path}: {self.kind}, format {self.version}, {self.file_bytes:,} bytes",
            *(
                f"  {s.name:<{width}}  {s.bytes:>16,} bytes at {s.offset:>16,}  crc32c "
                f"{s.crc32c:08x}"
                for s in self.sections
            ),
        ]
        return "\n".join(lines)


def info(path: Path) -> FileInfo:
    """Tell what a file says of itself; only its header is read.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    FileInfo

    Raises
    ------
    FormatError
        The header is damaged, or the file is not an index. A ``ValueError``.
    OSError
        The system refused to open or read it.
    """
    where = as_path(path)
    version, kind, header, metadata, file_bytes, sections = _core.file_info(where)
    name = os.fsdecode(where)
    parsed = _object(header)
    if parsed is None:
        raise format_error(name, "the header is not a JSON object")
    return FileInfo(
        name,
        version,
        kind,
        parsed,
        _settings(metadata) or metadata,
        file_bytes,
        tuple(Section(*section) for section in sections),
    )


def verify(path: Path, *, threads: int | None = None, progress: Progress | None = None) -> None:
    """Read a whole file and compare every checksum.

    Parameters
    ----------
    path : str or os.PathLike
    threads : int, optional
        How many to use, 1 to 1024.
    progress : callable, optional
        ``progress(stage, done, total)`` in bytes; returning False stops.

    Raises
    ------
    FormatError
        At the first that is wrong, with its path and offset. A ``ValueError``.
    OSError
        The system refused to open or read it.
    """
    _core.verify_file(as_path(path), threads, progress)


def open(path: Path, mode: Mode = "map") -> AnyIndex:
    """Open a saved index.

    Parameters
    ----------
    path : str or os.PathLike
    mode : {"map", "load"}
        "map" is ready at once: structure is checked, vectors are read from the file as searches
        touch them, and processes that map the same file share memory. "load" reads everything
        into memory and compares every checksum.

    Returns
    -------
    FlatIndex, HNSWIndex, IVFIndex or BinaryIndex
        As it was saved, with its settings and report. Adding to it does not change the file.

    Raises
    ------
    FormatError
        The file is damaged or not an index. A ``ValueError``; `path` and `offset` say where.
    OSError
        The system refused to open or read it.
    """
    if mode not in ("map", "load"):
        raise ArgumentError(f"mode must be 'map' or 'load', got {mode!r}")
    where = as_path(path)
    name = os.fsdecode(where)
    stamp = _stamp(name)
    _, kind, _, metadata, _, _ = _core.file_info(where)
    index: AnyIndex
    if kind == "flat":
        index = FlatIndex.__new__(FlatIndex)
        index._begin(_core.FlatIndex.open(where, mode == "load"))
    elif kind == "hnsw":
        index = HNSWIndex.__new__(HNSWIndex)
        index._begin(_core.HnswIndex.open(where, mode == "load"))
    elif kind == "ivf":
        index = IVFIndex.__new__(IVFIndex)
        index._begin(_core.IvfIndex.open(where, mode == "load"))
    elif kind == "binary":
        index = BinaryIndex.__new__(BinaryIndex)
        index._begin(_core.BinaryIndex.open(where, mode == "load"))
    else:
        raise format_error(name, f"it holds an index of kind {kind!r}, unknown to this version")
    if _stamp(name) != stamp:  # saved over meanwhile: settings of one, vectors of the other
        return open(path, mode)
    try:
        index._restore(_ours(metadata))
    except (TypeError, ValueError, OverflowError) as error:
        raise format_error(name, f"settings: {error}") from error
    index._source = (os.path.abspath(name), mode, stamp)
    return index


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _settings(metadata: str) -> dict[str, Any] | None:
    """Read metadata, unless it is so large or so deep that it cannot be ours.

    The compiled part bounds the header itself, to which metadata is but a text.
    """
    if sum(map(metadata.count, "[{,")) > MOST_VALUES:
        return None
    settings = _object(metadata)
    return settings if _within(settings, DEEPEST) else None


def _within(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        return levels > 0 and all(_within(inner, levels - 1) for inner in value.values())
    if isinstance(value, list):
        return levels > 0 and all(_within(inner, levels - 1) for inner in value)
    return True


def _ours(metadata: str) -> dict[str, Any]:
    """Keep settings that this package wrote; the text of others says nothing to us."""
    settings = _settings(metadata)
    return settings if settings is not None and "vicinal" in settings else {}


def _stamp(path: str) -> tuple[int, ...]:
    found = os.stat(path)
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _from_bytes(content: bytes) -> AnyIndex:
    with tempfile.TemporaryDirectory(prefix="vicinal-") as folder:
        path = os.path.join(folder, "pickled")
        with _open_file(path, "wb") as file:
            file.write(content)
        index = open(path, "load")
    index._source = None
    return index


def _reopen(path: str, mode: Mode, settings: dict[str, Any]) -> AnyIndex:
    index = open(path, mode)
    index._restore(settings)  # they may have been set since it was opened
    return index


def _reduce(index: AnyIndex) -> tuple[Any, ...]:
    """Pickle as a path while the index is what its file holds, else as the bytes of such a file."""
    if index._source is not None:
        path, mode, stamp = index._source
        try:
            if _stamp(path) == stamp:
                return _reopen, (path, mode, index._settings())
        except OSError:
            pass  # the file is gone: send the content
    with tempfile.TemporaryDirectory(prefix="vicinal-") as folder:
        path = os.path.join(folder, "pickled")
        index.save(path)
        with _open_file(path, "rb") as file:
            return _from_bytes, (file.read(),)


def _open_file(path: str, mode: str) -> Any:
    # `open` of this module hides the built-in one.
    import builtins

    return builtins.open(path, mode)


for _kind in (FlatIndex, HNSWIndex, IVFIndex, BinaryIndex):
    copyreg.pickle(cast(Any, _kind), cast(Any, _reduce))
