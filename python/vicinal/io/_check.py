"""What every reader and writer here shares: errors, sizes, row ranges, safe replacement."""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt

from vicinal.errors import ArgumentError, FormatError

Array: TypeAlias = npt.NDArray[Any]
PathLike: TypeAlias = str | os.PathLike[str]
Rows: TypeAlias = int | slice | None

BLOCK_ROWS = 16384  # rows written or checked at a time: megabytes, not gigabytes
# Deflate cannot shrink data more than 1032 times, so a larger claim is a lie.
MAX_DEFLATE_RATIO = 1032


def format_error(path: PathLike, offset: int, what: str) -> FormatError:
    """Make the error for a damaged file; it carries ``path`` and ``offset`` as attributes."""
    error = FormatError(f"{os.fspath(path)}: at byte {offset}: {what}")
    error.path = os.fspath(path)
    error.offset = offset
    return error


def optional(module: str) -> ModuleType:
    """Import a package that only some formats need, or say how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f"this format needs the package {package}: pip install {package}"
        ) from error


def file_bytes(path: PathLike) -> int:
    """Return the length of a regular file in bytes; OSError if it cannot be looked at."""
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder, wanted a file")
    return target.stat().st_size


def row_slice(rows: Rows, count: int) -> slice:
    """Turn ``rows`` into a forward slice of ``count`` rows with plain bounds.

    An int means that many rows from the front. Asking for more rows than there are gives all.
    """
    if rows is None:
        return slice(0, count, 1)
    if isinstance(rows, slice):
        start, stop, step = rows.indices(count)
        if step < 1:
            raise ArgumentError(f"rows has step {step}, wanted a step of 1 or more")
        return slice(start, max(start, stop), step)
    if rows < 0:
        raise ArgumentError(f"rows is {rows}, wanted 0 or more")
    return slice(0, min(int(rows), count), 1)


def type_of(path: PathLike, types: dict[str, np.dtype[Any]]) -> np.dtype[Any]:
    """Return what the suffix says that the rows hold."""
    suffix = Path(path).suffix.lower()
    if suffix not in types:
        raise ArgumentError(f"suffix is {suffix!r}, wanted one of {', '.join(types)}")
    return types[suffix]


def map_array(
    path: PathLike,
    dtype: npt.DTypeLike,
    offset: int,
    shape: tuple[int, ...],
    *,
    mmap: bool,
    fortran: bool = False,
) -> Array:
    """Make an array over ``path`` from ``offset``: mapped read-only, or read into memory.

    The caller has checked that the bytes are there.
    """
    order: Any = "F" if fortran else "C"
    if 0 in shape:  # nothing to map, and an empty mapping is an error
        return np.empty(shape, dtype=dtype, order=order)
    if mmap:
        mapped = np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape, order=order)
        return mapped.view(np.ndarray)
    count = int(np.prod(shape, dtype=np.int64))
    flat = np.fromfile(path, dtype=dtype, count=count, offset=offset)
    if flat.size != count:
        raise format_error(path, offset, f"holds {flat.size} values, wanted {count}")
    return flat.reshape(shape, order=order)


def native(array: Array) -> Array:
    """Return the array in this machine's byte order; without a copy if it is already."""
    plain = array.dtype.newbyteorder("=")
    # h5py spells the machine's own order out, which is the same type under another sign.
    return array.view(plain) if array.dtype.isnative else array.astype(plain)


def as_matrix(array: npt.ArrayLike, name: str = "array") -> Array:
    """Return the array-like as a 2-D array of numbers; ValueError otherwise."""
    out = np.asarray(array)
    if out.ndim != 2:
        raise ValueError(f"{name} has {out.ndim} dimensions, wanted 2")
    if out.dtype.kind not in "fiub":
        raise ValueError(f"{name} holds {out.dtype}, wanted numbers")
    return out


def lossless(array: Array, dtype: np.dtype[Any], name: str, path: PathLike) -> Array:
    """Return the block as ``dtype``; ValueError if a whole number would not survive.

    Rounding a wider float to a narrower one is what the format means and is allowed.
    """
    if array.dtype == dtype:
        return array
    with np.errstate(invalid="ignore", over="ignore"):
        out = array.astype(dtype)
    if dtype.kind in "iu" and not np.array_equal(out.astype(np.float64), array):
        raise ValueError(
            f"{name} holds values that {np.dtype(dtype)} cannot hold exactly, as {path} needs"
        )
    return out


def blocks(array: Array, rows: int = BLOCK_ROWS) -> Iterator[Array]:
    """Yield consecutive groups of rows, so that a mapped source is never copied whole."""
    for start in range(0, len(array), rows):
        yield array[start : start + rows]


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[Path]:
    """Give a temporary name beside ``path``; move it over, synced, if the block succeeds.

    As with saved indexes, a link stays a link and a file keeps its permissions.
    """
    target = Path(os.path.realpath(path))
    old = target.stat() if target.exists() else None
    temporary = _beside(target, 0o666 if old is None else 0o600)
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        if old is not None:
            _hand_on(old, temporary)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _beside(target: Path, mode: int) -> Path:
    """Make an empty file in the same folder, with these permissions less the umask."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, mode)

    while True:
        path = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        with contextlib.suppress(FileExistsError), open(path, "xb", opener=opener):
            return path


def _hand_on(old: os.stat_result, path: Path) -> None:
    """Give a file the owner, group and permissions of another, as far as the system allows."""
    mode = old.st_mode & 0o777
    if os.name == "posix":
        with contextlib.suppress(OSError):
            os.chown(path, old.st_uid, old.st_gid)
        if path.stat().st_gid != old.st_gid:  # its rights must not go to another group
            mode &= ~0o070
    with contextlib.suppress(OSError):  # some file systems have none to keep
        path.chmod(mode)


@contextlib.contextmanager
def replacing_file(path: PathLike) -> Iterator[BinaryIO]:
    """As `replacing`, with the temporary file open for writing."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        yield file
