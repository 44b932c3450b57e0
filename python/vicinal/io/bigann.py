"""``.fbin``, ``.u8bin``, ``.i8bin``, ``.ibin``: two uint32 (rows, width), then the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vicinal.io._check import (
    Array,
    PathLike,
    Rows,
    as_matrix,
    blocks,
    file_bytes,
    format_error,
    lossless,
    map_array,
    native,
    replacing_file,
    row_slice,
    type_of,
)

TYPES: dict[str, np.dtype[Any]] = {
    ".fbin": np.dtype("<f4"),
    ".u8bin": np.dtype("u1"),
    ".i8bin": np.dtype("i1"),
    ".ibin": np.dtype("<i4"),
}
_HEADER_BYTES = 8


def read_bin(path: PathLike, *, mmap: bool = True, rows: Rows = None) -> Array:
    """Read a big-ann file; the suffix says what the rows hold.

    Parameters
    ----------
    path : path-like
    mmap : bool
        Map the file, so that rows are read when touched.
    rows : int or slice, optional
        Only these rows.

    Returns
    -------
    ndarray, shape (n, dim)
        float32, uint8, int8 or int32. Of an ``.ibin`` with distances behind the ids (the ground
        truth of the challenges) the ids; `read_truth_bin` gives both. Read-only when mapped.

    Raises
    ------
    FormatError
        The length of the file is not what its header says.

    References
    ----------
    Simhadri et al., NeurIPS 2021 competition track; big-ann-benchmarks.com.
    """
    dtype = type_of(path, TYPES)
    shape, size = _header(path)
    want = _HEADER_BYTES + shape[0] * shape[1] * dtype.itemsize
    with_distances = dtype.kind == "i" and dtype.itemsize == 4 and size == 2 * want - _HEADER_BYTES
    if size != want and not with_distances:
        raise format_error(
            path,
            0,
            f"file of {size} bytes, wanted {want} for {shape[0]} rows of {shape[1]} {dtype}",
        )
    array = map_array(path, dtype, _HEADER_BYTES, shape, mmap=mmap)
    return native(array[row_slice(rows, shape[0])])


def read_truth_bin(path: PathLike, *, mmap: bool = True) -> tuple[Array, Array]:
    """Read the ground truth of a big-ann challenge: ids, then distances.

    Returns
    -------
    ids : ndarray of int32, shape (q, k)
    distances : ndarray of float32, shape (q, k)
        As the challenge's tool wrote them; not converted.

    Raises
    ------
    FormatError
        The length of the file is not what its header says.
    """
    shape, size = _header(path)
    half = shape[0] * shape[1] * 4
    if size != _HEADER_BYTES + 2 * half:
        raise format_error(
            path, 0, f"file of {size} bytes, wanted {_HEADER_BYTES + 2 * half} for {shape} twice"
        )
    ids = map_array(path, "<i4", _HEADER_BYTES, shape, mmap=mmap)
    distances = map_array(path, "<f4", _HEADER_BYTES + half, shape, mmap=mmap)
    return native(ids), native(distances)


def write_bin(path: PathLike, array: npt.ArrayLike) -> None:
    """Write rows as ``.fbin``, ``.u8bin``, ``.i8bin`` or ``.ibin``; the suffix says which.

    Parameters
    ----------
    path : path-like
    array : array_like, shape (n, dim)
        Wider floats are rounded to float32; whole-number formats refuse what they cannot hold.

    Raises
    ------
    ValueError
        Not 2-D, too many rows for uint32, or values the format cannot hold.
    """
    dtype = type_of(path, TYPES)
    data = as_matrix(array)
    if max(data.shape) > 0xFFFFFFFF:
        raise ValueError(f"array has shape {data.shape}, wanted sizes below 2^32")
    with replacing_file(path) as file:
        file.write(np.array(data.shape, "<u4").tobytes())
        for block in blocks(data):
            file.write(np.ascontiguousarray(lossless(block, dtype, "array", path)).data)


def _header(path: PathLike) -> tuple[tuple[int, int], int]:
    size = file_bytes(path)
    if size < _HEADER_BYTES:
        raise format_error(path, 0, f"file of {size} bytes, wanted a header of {_HEADER_BYTES}")
    rows, dim = np.fromfile(path, dtype="<u4", count=2)
    return (int(rows), int(dim)), size
