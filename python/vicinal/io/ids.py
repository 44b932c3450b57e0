"""Lists of ids and masks: what goes with vectors, or restricts a search."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vicinal.io._check import Array, PathLike, file_bytes, format_error
from vicinal.io.arrow import ARROW_SUFFIXES, PARQUET_SUFFIXES, read_column

TEXT_SUFFIXES = (".txt", ".ids", ".csv")


def read_ids(path: PathLike, *, key: str | None = None) -> Array:
    """Read ids, or a mask over ids, from a file.

    Parameters
    ----------
    path : path-like
        ``.txt``, ``.ids`` or ``.csv`` (one whole number a line; empty lines do not count), or any
        format that `read` knows, holding one column or one row of whole numbers or of booleans.
    key : str, optional
        Array, dataset or column; ``id`` for Parquet and Arrow if not given.

    Returns
    -------
    ndarray, shape (n,)
        int64 ids, or bool: entry ``i`` tells whether id ``i`` is meant.

    Raises
    ------
    FormatError
        A damaged file, or a line that is not a whole number.
    ValueError
        The array holds something else than whole numbers or booleans, or has two real dimensions.
    """
    from vicinal.io import read

    suffix = Path(path).suffix.lower()
    if suffix in TEXT_SUFFIXES:
        return _read_text(path)
    if suffix in PARQUET_SUFFIXES + ARROW_SUFFIXES:
        return read_column(path, "id" if key is None else key)
    array = read(path, key=key)
    if array.dtype.kind not in "iub":
        raise ValueError(f"{path} holds {array.dtype}, wanted whole numbers or booleans")
    if array.ndim == 2 and 1 not in array.shape and array.size:
        raise ValueError(f"{path} has shape {array.shape}, wanted one id per row")
    flat = array.reshape(-1)
    if flat.dtype == np.bool_:
        return flat
    if flat.dtype == np.uint64 and flat.size and int(flat.max()) > 2**63 - 1:
        raise ValueError(f"{path} holds {flat.max()}, wanted ids below 2^63")
    return flat.astype(np.int64)


def _read_text(path: PathLike) -> Array:
    file_bytes(path)
    found, offset = [], 0
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            text = line.strip()
            if text:
                if len(text) > 20 or not text.removeprefix(b"-").isdigit():
                    shown = text[:40].decode("utf-8", "replace")
                    raise format_error(
                        path, offset, f"line {number} is {shown!r}, wanted a whole number"
                    )
                value = int(text)
                if not -(2**63) <= value < 2**63:
                    raise format_error(path, offset, f"line {number} is {value}, wanted 64 bits")
                found.append(value)
            offset += len(line)
    return np.array(found, np.int64)
