"""numpy's own files: ``.npy`` (mapped) and ``.npz`` (one array out of several)."""

from __future__ import annotations

import io
import math
import os
import zipfile
import zlib
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from vicinal.errors import ArgumentError, Error, FormatError
from vicinal.io._check import (
    MAX_DEFLATE_RATIO,
    Array,
    PathLike,
    Rows,
    blocks,
    file_bytes,
    format_error,
    map_array,
    native,
    replacing_file,
    row_slice,
)

_LONGEST_HEADER = 1 << 16  # bytes; numpy's own limit is 10,000 characters
_LONGEST_TEXT = 4096  # bytes
# Names tried, in this order, when an .npz holds several arrays and no key is given.
USUAL_KEYS = ("vectors", "base", "train", "embeddings")


def _read_header(file: Any, path: PathLike) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, Fortran order and type from an npy header; everything in it is checked."""
    try:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise format_error(path, 6, f"npy version is {version}, wanted (1, 0) or (2, 0)")
        # numpy asks for memory for all of it before it looks how long it is.
        field = file.read(2 if version == (1, 0) else 4)
        length = int.from_bytes(field, "little")
        if length > _LONGEST_HEADER:
            raise format_error(
                path, 8, f"header of {length} bytes, wanted at most {_LONGEST_HEADER}"
            )
        text = io.BytesIO(field + file.read(length))
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(text)
        else:
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(text)
    # literal_eval and the codecs raise a dozen kinds, of what is nested too deeply MemoryError
    except Exception as error:
        if isinstance(error, Error):
            raise
        raise format_error(path, 0, f"not an npy header ({error})") from error
    if any(s < 0 for s in shape):
        raise format_error(path, 10, f"shape is {shape!r}, wanted sizes of 0 or more")
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise format_error(path, 10, f"type is {dtype}, wanted plain numbers of at most 8 bytes")
    if len(shape) not in (1, 2):
        raise format_error(path, 10, f"array has {len(shape)} dimensions, wanted 1 or 2")
    # numpy counts bytes of an empty array without the sizes that are 0.
    if math.prod(max(int(s), 1) for s in shape) * dtype.itemsize > 2**63 - 1:
        raise format_error(path, 10, f"shape is {shape!r}, wanted less than 2^63 bytes")
    return shape, bool(fortran), dtype


def read_npy(path: PathLike, *, mmap: bool = True, rows: Rows = None) -> Array:
    """Read a ``.npy`` file.

    Parameters
    ----------
    path : path-like
    mmap : bool
        Map the file, so that rows are read when touched; otherwise read them now.
    rows : int or slice, optional
        Only the first so many rows, or this slice of them.

    Returns
    -------
    ndarray, shape (n, dim) or (n,)
        Read-only when mapped. Foreign byte order is converted, which copies.

    Raises
    ------
    FormatError
        Not an npy file, of objects or records, or its length is not what the header says.

    References
    ----------
    numpy.lib.format, "A simple format for saving numpy arrays to disk", versions 1.0 and 2.0.
    """
    size = file_bytes(path)
    with open(path, "rb") as file:
        shape, fortran, dtype = _read_header(file, path)
        offset = file.tell()
    want = math.prod(shape) * dtype.itemsize
    if size - offset != want:
        raise format_error(
            path, offset, f"{size - offset} bytes of data, wanted {want} for {shape} {dtype}"
        )
    chosen = row_slice(rows, shape[0])
    array = map_array(path, dtype, offset, shape, mmap=mmap, fortran=fortran)[chosen]
    return native(array)


def npz_text(path: PathLike, key: str) -> str:
    """Read a word out of a ``.npz`` file; `read_npz` reads numbers only."""
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(f"{key}.npy")
            if info.file_size > _LONGEST_TEXT:
                raise format_error(
                    path, info.header_offset, f"{key} has {info.file_size} bytes, wanted a word"
                )
            with archive.open(info) as file:
                packed = io.BytesIO(file.read(_LONGEST_TEXT))
        value = np.lib.format.read_array(packed, allow_pickle=False)
    except Exception as error:  # numpy and zipfile raise a dozen kinds
        if isinstance(error, FormatError) or getattr(error, "filename", None) is not None:
            raise
        raise format_error(path, 0, f"{key} cannot be read ({error})") from error
    if value.dtype.kind not in "US" or value.ndim != 0:
        raise format_error(path, 0, f"{key} is {value.dtype} of shape {value.shape}, wanted a word")
    text = value.item()
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def write_npy(path: PathLike, array: npt.ArrayLike) -> None:
    """Write an array as ``.npy``, block by block, replacing the file at the end.

    Parameters
    ----------
    path : path-like
    array : array_like, any shape
        Numbers; written C-contiguous in their own type.

    Raises
    ------
    ValueError
        The array holds something that is not a number.
    """
    data = _numbers(array)
    with replacing_file(path) as file:
        _write_stream(file, data)


def read_npz(path: PathLike, *, key: str | None = None, rows: Rows = None) -> Array:
    """Read one array out of a ``.npz`` file.

    Parameters
    ----------
    path : path-like
    key : str, optional
        Name of the array. Without it the file must hold one array, or one called ``vectors``,
        ``base``, ``train`` or ``embeddings`` (tried in this order).
    rows : int or slice, optional
        Only these rows are returned; the array is read up to the last of them.

    Returns
    -------
    ndarray, shape (n, dim) or (n,)

    Raises
    ------
    FormatError
        Not a zip file, a damaged member, or sizes that cannot be true.
    ValueError
        No such key; the message lists those there are.
    """
    size = file_bytes(path)
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(_member(archive, key, path))
            _check_member(info, size, path)
            with archive.open(info) as file:
                return _read_member(file, info, path, rows)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        RuntimeError,  # an encrypted member
        OverflowError,
        UnicodeDecodeError,
    ) as error:
        raise format_error(path, 0, f"not a whole npz file ({error})") from error
    except ValueError as error:  # a negative seek inside zipfile, for one
        if isinstance(error, Error):
            raise
        raise format_error(path, 0, f"not a whole npz file ({error})") from error
    except OSError as error:
        if error.errno is not None and error.filename is not None:
            raise
        raise format_error(path, 0, f"not a whole npz file ({error})") from error


def npz_keys(path: PathLike) -> list[str]:
    """List the names of the arrays in a ``.npz`` file, in their order there."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [n[: -len(".npy")] for n in archive.namelist() if n.endswith(".npy")]
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise format_error(path, 0, f"not an npz file ({error})") from error


def write_npz(
    path: PathLike, arrays: dict[str, npt.ArrayLike] | npt.ArrayLike, *, compress: bool = False
) -> None:
    """Write named arrays as ``.npz``; a single array is named ``vectors``.

    The same arrays give the same bytes: no clock enters the file.

    Parameters
    ----------
    path : path-like
    arrays : dict of str to array_like, or array_like
    compress : bool
        Deflate the members. Embeddings shrink by about a tenth and read five times slower.
    """
    named = arrays if isinstance(arrays, dict) else {"vectors": arrays}
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with replacing_file(path) as file, zipfile.ZipFile(file, "w", method) as archive:
        for name, array in named.items():
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = method
            info.external_attr = 0o644 << 16
            with archive.open(info, "w", force_zip64=True) as member:
                _write_stream(cast(BinaryIO, member), _numbers(array))


def _member(archive: zipfile.ZipFile, key: str | None, path: PathLike) -> str:
    names = [name for name in archive.namelist() if name.endswith(".npy")]
    plain = [name[: -len(".npy")] for name in names]
    if key is not None:
        if key in plain:
            return f"{key}.npy"
        raise ArgumentError(f"{os.fspath(path)} has no array {key!r}; it has {', '.join(plain)}")
    if len(names) == 1:
        return names[0]
    for usual in USUAL_KEYS:
        if usual in plain:
            return f"{usual}.npy"
    if not names:
        raise format_error(path, 0, "no arrays in this npz file, wanted at least one")
    raise ArgumentError(
        f"{os.fspath(path)} holds several arrays: choose one by key from {', '.join(plain)}"
    )


def _check_member(info: zipfile.ZipInfo, size: int, path: PathLike) -> None:
    """Refuse a member whose sizes cannot be true, before anything is allocated for it."""
    at = info.header_offset
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise format_error(
            path, at, f"compression method {info.compress_type}, wanted 0 (stored) or 8 (deflate)"
        )
    if info.compress_size > size:
        raise format_error(path, at, f"member of {info.compress_size} bytes in a file of {size}")
    ratio = 1 if info.compress_type == zipfile.ZIP_STORED else MAX_DEFLATE_RATIO
    if info.file_size > info.compress_size * ratio:
        raise format_error(
            path, at, f"{info.file_size} bytes out of {info.compress_size} packed ones is too many"
        )


def _read_member(file: Any, info: zipfile.ZipInfo, path: PathLike, rows: Rows) -> Array:
    shape, fortran, dtype = _read_header(file, path)
    offset = file.tell()
    want = math.prod(shape) * dtype.itemsize
    if info.file_size - offset != want:
        raise format_error(
            path,
            info.header_offset,
            f"{info.filename} holds {info.file_size - offset} bytes of data, "
            f"wanted {want} for {shape} {dtype}",
        )
    chosen = row_slice(rows, shape[0])
    # Column-major data has no rows in one piece, so all of it is read.
    read_rows = shape[0] if fortran else chosen.stop
    flat = np.empty(math.prod((read_rows, *shape[1:])), dtype)
    view = flat.view(np.uint8).data if flat.size else memoryview(bytearray())
    done = 0
    while done < len(view):
        chunk = file.read(min(1 << 22, len(view) - done))
        if not chunk:
            raise format_error(path, info.header_offset, f"data ends after {done} bytes")
        view[done : done + len(chunk)] = chunk
        done += len(chunk)
    if done == want and file.read(1):  # reaching the end makes zipfile check its sum
        raise format_error(path, info.header_offset, f"{info.filename} goes on after its array")
    array = flat.reshape((read_rows, *shape[1:]), order="F" if fortran else "C")
    return native(array[chosen])


def _numbers(array: npt.ArrayLike) -> Array:
    out = np.asarray(array)
    if out.dtype.kind not in "fiubU" or (out.dtype.kind == "U" and out.ndim):
        raise ValueError(f"array holds {out.dtype}, wanted numbers")
    return out


def _write_stream(file: BinaryIO, array: Array) -> None:
    descr = np.lib.format.dtype_to_descr(array.dtype)
    header = {"descr": descr, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(file, header)
    if array.ndim == 0:
        file.write(array.tobytes())
        return
    for block in blocks(array):
        file.write(np.ascontiguousarray(block).data)
