"""HDF5 in the layout of ann-benchmarks: datasets train, test, neighbors, distances."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from vicinal.errors import ArgumentError, Error
from vicinal.io._check import (
    Array,
    PathLike,
    Rows,
    blocks,
    file_bytes,
    format_error,
    map_array,
    native,
    optional,
    replacing,
    row_slice,
)

# No filter that HDF5 ships packs tighter than deflate; a larger claim is a lie.
_MAX_RATIO = 1100
_SLACK_BYTES = 1 << 16


def read_hdf5(
    path: PathLike, *, key: str | None = None, mmap: bool = True, rows: Rows = None
) -> Array:
    """Read one dataset of an HDF5 file.

    Parameters
    ----------
    path : path-like
    key : str, optional
        Name of the dataset; ``train`` if not given.
    mmap : bool
        Map the data if it lies in one uncompressed piece; otherwise it is read now.
    rows : int or slice, optional
        Only these rows are read.

    Returns
    -------
    ndarray, shape (n, dim) or (n,)

    Raises
    ------
    FormatError
        Not an HDF5 file, a damaged one, one that points into other files, or whose sizes cannot
        be true.
    ValueError
        No such dataset; the message lists those there are.
    ImportError
        h5py is missing: ``pip install h5py``.

    References
    ----------
    Aumueller, Bernhardsson and Faithfull, Information Systems 87, 2020; ann-benchmarks.com.
    """
    h5py: Any = optional("h5py")
    size = file_bytes(path)
    name = "train" if key is None else key
    try:
        with h5py.File(path, "r") as file:
            data = _dataset(h5py, file, name, path)
            offset = _check_storage(data, size, path)
            chosen = row_slice(rows, data.shape[0])
            if mmap and offset is not None:
                mapped = map_array(path, data.dtype, offset, data.shape, mmap=True)
                return native(mapped[chosen])
            read: Array = data[chosen]
            return native(read)
    except (FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        if isinstance(error, Error):
            raise
        raise format_error(path, 0, f"not a whole HDF5 file ({error})") from error


def hdf5_metric(path: PathLike) -> str | None:
    """Return the attribute ``distance`` of an HDF5 file, or None."""
    h5py: Any = optional("h5py")
    file_bytes(path)
    try:
        with h5py.File(path, "r") as file:
            value = file.attrs.get("distance")
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise format_error(path, 0, f"not a whole HDF5 file ({error})") from error
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return None if value is None else str(value)


def hdf5_keys(path: PathLike) -> list[str]:
    """List the names of the datasets at the top of an HDF5 file."""
    h5py: Any = optional("h5py")
    file_bytes(path)
    try:
        with h5py.File(path, "r") as file:
            return [str(name) for name in file]
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise format_error(path, 0, f"not a whole HDF5 file ({error})") from error


def write_hdf5(
    path: PathLike, arrays: dict[str, npt.ArrayLike] | npt.ArrayLike, *, distance: str | None = None
) -> None:
    """Write datasets, uncompressed, replacing the file at the end.

    Parameters
    ----------
    path : path-like
    arrays : dict of str to array_like, or array_like
        A single array becomes the dataset ``train``.
    distance : str, optional
        Value of the attribute ``distance``: euclidean, angular, ...

    Raises
    ------
    ImportError
        h5py is missing: ``pip install h5py``.
    """
    h5py: Any = optional("h5py")
    named = arrays if isinstance(arrays, dict) else {"train": arrays}
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        if distance is not None:
            file.attrs["distance"] = distance
        for name, given in named.items():
            data = np.asarray(given)
            if data.dtype.kind not in "fiub":
                raise ValueError(f"{name} holds {data.dtype}, wanted numbers")
            out = file.create_dataset(name, data.shape, data.dtype)
            start = 0
            for block in blocks(data):
                out[start : start + len(block)] = block
                start += len(block)


def _dataset(h5py: Any, file: Any, name: str, path: PathLike) -> Any:
    link = file.get(name, getlink=True)
    if link is None:
        raise ArgumentError(f"{os.fspath(path)} has no dataset {name!r}; it has {', '.join(file)}")
    # A link or a layout that names another file would read what the caller did not choose.
    if isinstance(link, h5py.ExternalLink):
        raise format_error(path, 0, f"dataset {name!r} is a link into another file")
    data = file[name]
    if not isinstance(data, h5py.Dataset):
        raise ArgumentError(f"{os.fspath(path)}: {name!r} is a group, wanted a dataset")
    if data.file.filename != file.filename:  # a soft link may lead through one of those
        raise format_error(path, 0, f"dataset {name!r} lies in another file")
    if data.is_virtual or data.external:
        raise format_error(path, 0, f"dataset {name!r} keeps its values in another file")
    if data.shape is None or len(data.shape) not in (1, 2):
        raise format_error(path, 0, f"dataset {name!r} has shape {data.shape}, wanted 1 or 2 sizes")
    if data.dtype.kind not in "fiub" or data.dtype.itemsize > 8:
        raise format_error(path, 0, f"dataset {name!r} holds {data.dtype}, wanted plain numbers")
    return data


def _check_storage(data: Any, size: int, path: PathLike) -> int | None:
    """Check sizes before allocating; the offset of the values if they can be mapped."""
    stored = int(data.id.get_storage_size())
    want = math.prod(data.shape) * data.dtype.itemsize
    if stored > size:
        raise format_error(path, 0, f"{data.name} claims {stored} bytes in a file of {size}")
    if want > stored * _MAX_RATIO + _SLACK_BYTES:
        raise format_error(path, 0, f"{data.name} claims {want} bytes out of {stored} stored ones")
    offset = data.id.get_offset()
    if offset is None or data.chunks is not None or stored != want or data.dtype.kind == "b":
        return None
    if offset < 0 or offset + want > size:
        raise format_error(path, int(offset), f"{data.name} ends past the file's {size} bytes")
    return int(offset)
