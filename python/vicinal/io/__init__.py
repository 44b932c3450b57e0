"""Read and write vectors in the formats that people have them in.

`read` and `write` choose by suffix; the named functions do one format each.

=============================== ============================ ===============================
suffix                          what                         notes
=============================== ============================ ===============================
``.npy``                        numpy array                  mapped
``.npz``                        numpy archive                ``key`` names the array
``.fvecs`` ``.bvecs``           rows with their width        mapped as a strided view
``.ivecs``
``.fbin`` ``.u8bin``            big-ann: counts, then rows   mapped
``.i8bin`` ``.ibin``
``.hdf5`` ``.h5``               ann-benchmarks layout        needs h5py; mapped if contiguous
``.parquet`` ``.pq``            column of lists              needs pyarrow
``.feather`` ``.arrow``         column of lists              needs pyarrow; mapped if possible
``.ipc``
=============================== ============================ ===============================

Files are not trusted: sizes are checked against the length of the file before memory is asked
for, and what does not fit is a `vicinal.FormatError` that names path, offset, got and wanted.
HDF5, Parquet and Arrow are taken apart by h5py and pyarrow, which no checks of ours can harden.
"""

from __future__ import annotations

from pathlib import Path

import numpy.typing as npt

from vicinal.io._check import Array, PathLike, Rows
from vicinal.io.arrow import (
    ARROW_SUFFIXES,
    PARQUET_SUFFIXES,
    VectorTable,
    read_table,
    write_table,
)
from vicinal.io.bigann import TYPES as _BIN_TYPES
from vicinal.io.bigann import read_bin, read_truth_bin, write_bin
from vicinal.io.dataset import HDF5_SUFFIXES, Dataset, read_dataset, write_dataset
from vicinal.io.hdf5 import read_hdf5, write_hdf5
from vicinal.io.ids import read_ids
from vicinal.io.npy import read_npy, read_npz, write_npy, write_npz
from vicinal.io.vecs import TYPES as _VECS_TYPES
from vicinal.io.vecs import read_vecs, write_vecs

__all__ = [
    "Dataset",
    "VectorTable",
    "read",
    "read_bin",
    "read_dataset",
    "read_hdf5",
    "read_ids",
    "read_npy",
    "read_npz",
    "read_table",
    "read_truth_bin",
    "read_vecs",
    "suffixes",
    "write",
    "write_bin",
    "write_dataset",
    "write_hdf5",
    "write_npy",
    "write_npz",
    "write_table",
    "write_vecs",
]

_TABLES = PARQUET_SUFFIXES + ARROW_SUFFIXES


def suffixes() -> tuple[str, ...]:
    """Every suffix that `read` and `write` know."""
    return (".npy", ".npz", *_VECS_TYPES, *_BIN_TYPES, *HDF5_SUFFIXES, *_TABLES)


def read(path: PathLike, *, key: str | None = None, mmap: bool = True, rows: Rows = None) -> Array:
    """Read vectors from a file; the suffix says how.

    Parameters
    ----------
    path : path-like
        One of `suffixes()`.
    key : str, optional
        Which array, dataset or column, for formats that hold several. See `read_npz`,
        `read_hdf5` and `read_table` for what happens without it.
    mmap : bool
        Map the file where the format allows it, so that rows are read when touched.
    rows : int or slice, optional
        Only the first so many rows, or this slice of them.

    Returns
    -------
    ndarray, shape (n, dim)
        As stored: float16, float32, float64, int8 or uint8 for vectors. ``.npy``, ``.npz`` and
        HDF5 may also hold shape (n,) and other numbers. Read-only when mapped.

    Raises
    ------
    FormatError
        The file is damaged or not of this format: a ValueError with path and offset.
    ValueError
        Another suffix, or a ``key`` that the file does not have or the format has no use for.
    ImportError
        The format needs a package that is missing; the message says how to get it.
    OSError
        The file cannot be opened.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".npz":
        return read_npz(path, key=key, rows=rows)
    if suffix in HDF5_SUFFIXES:
        return read_hdf5(path, key=key, mmap=mmap, rows=rows)
    if suffix in _TABLES:
        return read_table(path, key=key, rows=rows).vectors
    _check_plain(suffix, key)
    if suffix == ".npy":
        return read_npy(path, mmap=mmap, rows=rows)
    if suffix in _VECS_TYPES:
        return read_vecs(path, mmap=mmap, rows=rows)
    return read_bin(path, mmap=mmap, rows=rows)


def write(path: PathLike, array: npt.ArrayLike, *, key: str | None = None) -> None:
    """Write vectors to a file; the suffix says how.

    The file appears whole or not at all: it is written beside its place and moved there.

    Parameters
    ----------
    path : path-like
        One of `suffixes()`.
    array : array_like, shape (n, dim)
    key : str, optional
        Name of the array (``vectors``), dataset (``train``) or column (``vector``), for formats
        that hold several.

    Raises
    ------
    ValueError
        Another suffix, or an array or ``key`` that the format cannot take.
    ImportError
        The format needs a package that is missing; the message says how to get it.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".npz":
        return write_npz(path, {key or "vectors": array})
    if suffix in HDF5_SUFFIXES:
        return write_hdf5(path, {key or "train": array})
    if suffix in _TABLES:
        return write_table(path, array, key=key)
    _check_plain(suffix, key)
    if suffix == ".npy":
        return write_npy(path, array)
    if suffix in _VECS_TYPES:
        return write_vecs(path, array)
    return write_bin(path, array)


def _check_plain(suffix: str, key: str | None) -> None:
    if suffix not in suffixes():
        raise ValueError(f"suffix is {suffix!r}, wanted one of {', '.join(suffixes())}")
    if key is not None:
        raise ValueError(f"key is {key!r}, but a {suffix} file holds one array only")
