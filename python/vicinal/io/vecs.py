"""``.fvecs``, ``.bvecs``, ``.ivecs``: rows that each begin with their own width.

Each row is a little-endian int32 width followed by that many float32, uint8 or int32.
"""

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
    ".fvecs": np.dtype("<f4"),
    ".bvecs": np.dtype("u1"),
    ".ivecs": np.dtype("<i4"),
}
_HEADER_CHECK_ROWS = 1 << 18


def read_vecs(path: PathLike, *, mmap: bool = True, rows: Rows = None) -> Array:
    """Read ``.fvecs``, ``.bvecs`` or ``.ivecs``; the suffix says which.

    Parameters
    ----------
    path : path-like
    mmap : bool
        Map the file and return a strided view that skips the widths: nothing is copied.
        Otherwise read it and return contiguous rows.
    rows : int or slice, optional
        Only these rows; only their widths are checked.

    Returns
    -------
    ndarray, shape (n, dim)
        float32, uint8 or int32. An empty file gives shape (0, 0). Read-only when mapped.

    Raises
    ------
    FormatError
        A width that is not positive, a row cut off, or rows of different widths.

    References
    ----------
    Jegou, Tavenard, Douze and Amsaleg, ICASSP 2011; corpus-texmex.irisa.fr.
    """
    dtype = type_of(path, TYPES)
    size = file_bytes(path)
    if size == 0:
        return np.empty((0, 0), dtype.newbyteorder("="))
    if size < 4:
        raise format_error(path, 0, f"file of {size} bytes, wanted at least a width of 4 bytes")
    dim = int(np.fromfile(path, dtype="<i4", count=1)[0])
    if dim <= 0:
        raise format_error(path, 0, f"row 0 has width {dim}, wanted 1 or more")
    row_bytes = 4 + dim * dtype.itemsize
    if size % row_bytes:
        whole = size // row_bytes
        raise format_error(
            path,
            whole * row_bytes,
            f"{size - whole * row_bytes} bytes after row {whole - 1}, "
            f"wanted rows of {row_bytes} (width {dim})",
        )
    count = size // row_bytes
    raw = map_array(path, np.uint8, 0, (size,), mmap=mmap)
    widths = np.ndarray((count,), "<i4", buffer=raw.data, strides=(row_bytes,))
    values: Array = np.ndarray(
        (count, dim), dtype, buffer=raw.data, offset=4, strides=(row_bytes, dtype.itemsize)
    )
    chosen = row_slice(rows, count)
    _check_widths(widths, chosen, dim, row_bytes, path)
    out = native(values[chosen])
    return out if mmap else np.ascontiguousarray(out)


def write_vecs(path: PathLike, array: npt.ArrayLike) -> None:
    """Write rows as ``.fvecs``, ``.bvecs`` or ``.ivecs``; the suffix says which.

    Parameters
    ----------
    path : path-like
    array : array_like, shape (n, dim)
        Wider floats are rounded to float32; whole-number formats refuse what they cannot hold.

    Raises
    ------
    ValueError
        Not 2-D, dim 0 with rows present, or values the format cannot hold.
    """
    dtype = type_of(path, TYPES)
    data = as_matrix(array)
    if len(data) and data.shape[1] == 0:
        raise ValueError("array has rows of width 0, wanted 1 or more")
    record = np.dtype([("width", "<i4"), ("values", dtype, (data.shape[1],))])
    with replacing_file(path) as file:
        for block in blocks(data):
            out = np.empty(len(block), record)
            out["width"] = data.shape[1]
            out["values"] = lossless(block, dtype, "array", path)
            file.write(out.data)


def _check_widths(widths: Array, chosen: slice, dim: int, row_bytes: int, path: PathLike) -> None:
    for start in range(chosen.start, chosen.stop, _HEADER_CHECK_ROWS):
        block = widths[start : min(start + _HEADER_CHECK_ROWS, chosen.stop)]
        wrong = np.flatnonzero(block != dim)
        if wrong.size:
            row = start + int(wrong[0])
            raise format_error(
                path, row * row_bytes, f"row {row} has width {widths[row]}, wanted {dim}"
            )
