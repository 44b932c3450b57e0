"""A data set to measure on: base, queries, and the true neighbours if they are known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vicinal.errors import ArgumentError
from vicinal.io._check import Array, PathLike, format_error
from vicinal.io.hdf5 import hdf5_keys, hdf5_metric, read_hdf5, write_hdf5
from vicinal.io.npy import npz_keys, npz_text, read_npz

HDF5_SUFFIXES = (".hdf5", ".h5")
# The words of ann-benchmarks and of VIBE; "normalized" rows have length one.
METRICS = {
    "euclidean": "l2",
    "l2": "l2",
    "angular": "cosine",
    "cosine": "cosine",
    "normalized": "cosine",
    "ip": "ip",
    "dot": "ip",
}
_NAMES = {"l2": "euclidean", "cosine": "angular", "ip": "ip"}
# The names that arrays go by in .npz files, ours first.
_BASE, _QUERIES = ("base", "train", "vectors"), ("queries", "query", "test")
_TRUTH = ("neighbors", "gt", "truth")


@dataclass(frozen=True)
class Dataset:
    """Vectors, held-out queries and what is known of their true neighbours."""

    base: Array
    """Shape (n, dim)."""
    queries: Array
    """Shape (q, dim)."""
    metric: str | None = None
    """``l2``, ``ip`` or ``cosine``; None if the file does not say."""
    neighbors: Array | None = None
    """Rows of ``base``, nearest first, shape (q, k)."""
    distances: npt.NDArray[np.float32] | None = None
    """As this library counts them: squared L2, 1 - cosine, negative inner product; (q, k)."""


def read_dataset(path: PathLike, *, mmap: bool = True) -> Dataset:
    """Read a data set: HDF5 in the ann-benchmarks layout, or an ``.npz`` with named arrays.

    Parameters
    ----------
    path : path-like
        HDF5 with ``train``, ``test`` and perhaps ``neighbors``, ``distances`` and the attribute
        ``distance``; or npz with ``base`` (``train``, ``vectors``), ``queries`` (``query``,
        ``test``) and perhaps ``neighbors`` (``gt``, ``truth``) and ``metric``. There "ip" is said
        of rows that are to be scaled to length one, which is "cosine".
    mmap : bool
        Map what can be mapped.

    Returns
    -------
    Dataset

    Raises
    ------
    FormatError
        Damaged, or the arrays do not fit each other.
    ValueError
        Another suffix, arrays missing, or a distance this library does not have.
    """
    suffix = Path(path).suffix.lower()
    if suffix in HDF5_SUFFIXES:
        data = _from_hdf5(path, mmap)
    elif suffix == ".npz":
        data = _from_npz(path)
    else:
        raise ValueError(f"suffix is {suffix!r}, wanted .hdf5, .h5 or .npz")
    _check(data, path)
    return data


def write_dataset(path: PathLike, data: Dataset) -> None:
    """Write a data set as HDF5 in the ann-benchmarks layout; the metric must be known.

    L2 distances are written as that layout has them, not squared.
    """
    if data.metric not in _NAMES:
        raise ValueError(f"metric is {data.metric!r}, wanted one of {', '.join(_NAMES)}")
    arrays: dict[str, npt.ArrayLike] = {"train": data.base, "test": data.queries}
    if data.neighbors is not None:
        arrays["neighbors"] = data.neighbors
    if data.distances is not None:
        square = data.metric == "l2"
        arrays["distances"] = np.sqrt(data.distances) if square else data.distances
    write_hdf5(path, arrays, distance=_NAMES[data.metric])


def _from_hdf5(path: PathLike, mmap: bool) -> Dataset:
    names = hdf5_keys(path)
    given = hdf5_metric(path)
    if given is not None and given not in METRICS:
        raise ValueError(f"{path} has distance {given!r}, wanted one of {', '.join(METRICS)}")
    metric = None if given is None else METRICS[given]
    distances: Array | None = None
    if "distances" in names:
        distances = np.asarray(read_hdf5(path, key="distances", mmap=mmap), np.float32)
        if metric == "l2":
            distances = np.square(distances)
    return Dataset(
        base=read_hdf5(path, key="train", mmap=mmap),
        queries=read_hdf5(path, key="test", mmap=mmap),
        metric=metric,
        neighbors=read_hdf5(path, key="neighbors", mmap=mmap) if "neighbors" in names else None,
        distances=distances,
    )


class NpzNames(NamedTuple):
    """Which arrays of an npz file are what, and its metric."""

    names: tuple[str, ...]
    base: str
    queries: str
    truth: str | None
    metric: str | None


def npz_names(path: PathLike) -> NpzNames:
    """Find base, queries and truth by any of their names; ArgumentError if there are none."""
    names = npz_keys(path)

    def pick(choices: tuple[str, ...]) -> str | None:
        return next((name for name in choices if name in names), None)

    base, queries = pick(_BASE), pick(_QUERIES)
    if base is None or queries is None:
        raise ArgumentError(
            f"{path} holds {', '.join(names)}; wanted one of {', '.join(_BASE)} "
            f"and one of {', '.join(_QUERIES)}"
        )
    metric = npz_text(path, "metric") if "metric" in names else None
    if metric is not None and metric not in METRICS:
        raise ArgumentError(f"{path} has metric {metric!r}, wanted one of {', '.join(METRICS)}")
    if metric is not None:
        metric = "cosine" if metric == "ip" else METRICS[metric]
    return NpzNames(tuple(names), base, queries, pick(_TRUTH), metric)


def _from_npz(path: PathLike) -> Dataset:
    found = npz_names(path)
    return Dataset(
        base=read_npz(path, key=found.base),
        queries=read_npz(path, key=found.queries),
        metric=found.metric,
        neighbors=None if found.truth is None else read_npz(path, key=found.truth),
    )


def _check(data: Dataset, path: PathLike) -> None:
    for name, array in (("base", data.base), ("queries", data.queries)):
        if array.ndim != 2:
            raise format_error(path, 0, f"{name} has {array.ndim} dimensions, wanted 2")
    if data.base.shape[1] != data.queries.shape[1]:
        raise format_error(
            path,
            0,
            f"queries have {data.queries.shape[1]} columns, wanted {data.base.shape[1]}",
        )
    truth = data.neighbors
    if truth is None:
        return
    if truth.ndim != 2 or len(truth) != len(data.queries) or truth.dtype.kind not in "iu":
        raise format_error(
            path,
            0,
            f"neighbours are {truth.dtype} of shape {truth.shape}, "
            f"wanted whole numbers, one row for each of {len(data.queries)} queries",
        )
    if truth.size and (int(truth.min()) < -1 or int(truth.max()) >= len(data.base)):
        raise format_error(
            path,
            0,
            f"neighbours run from {truth.min()} to {truth.max()}, "
            f"wanted rows below {len(data.base)} (or -1)",
        )
    if data.distances is not None and data.distances.shape != truth.shape:
        raise format_error(
            path, 0, f"distances have shape {data.distances.shape}, wanted {truth.shape}"
        )
