"""The layouts that whole sets come in, read with `vicinal.io`; nothing is converted yet."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vicinal.errors import ArgumentError, FormatError
from vicinal.io import read, read_bin, read_hdf5, read_npz, read_truth_bin
from vicinal.io._check import Array, PathLike
from vicinal.io.dataset import METRICS, npz_names
from vicinal.io.hdf5 import hdf5_keys, hdf5_metric

__all__ = ["Arrays", "from_hdf5", "from_npz", "read_truth", "siblings"]

_DISTANCES = ("gtd", "distances")


@dataclass(frozen=True)
class Arrays:
    """What a file holds, as it stands there."""

    base: Array
    queries: Array
    metric: str | None
    neighbors: Array | None
    distances: Array | None


def from_hdf5(path: Path, *, mmap: bool) -> Arrays:
    """Read ``train``, ``test`` and perhaps ``neighbors`` and ``distances``."""
    names = hdf5_keys(path)
    for wanted in ("train", "test"):
        if wanted not in names:
            raise ArgumentError(f"{path} has no dataset {wanted!r}; it has {', '.join(names)}")
    given = hdf5_metric(path)
    if given is not None and given not in METRICS:
        raise ArgumentError(f"{path} is compared by {given!r}; wanted one of {', '.join(METRICS)}")
    return Arrays(
        read_hdf5(path, key="train", mmap=mmap),
        read_hdf5(path, key="test", mmap=mmap),
        None if given is None else METRICS[given],
        read_hdf5(path, key="neighbors", mmap=mmap) if "neighbors" in names else None,
        read_hdf5(path, key="distances", mmap=mmap) if "distances" in names else None,
    )


def from_npz(path: Path) -> Arrays:
    """Read ``base``, ``query`` and perhaps ``gt``, ``gtd`` and ``metric``, or their other names.

    In this layout ``ip`` is said of rows that are to be scaled to length one, which is cosine.
    """
    found = npz_names(path)
    distances = next((name for name in _DISTANCES if name in found.names), None)
    return Arrays(
        read_npz(path, key=found.base),
        read_npz(path, key=found.queries),
        found.metric,
        None if found.truth is None else read_npz(path, key=found.truth),
        None if distances is None else read_npz(path, key=distances),
    )


def read_truth(path: PathLike, *, mmap: bool) -> tuple[Array, Array | None]:
    """Read ids of true neighbours, with distances if the file has them.

    Big-ann's have any suffix or none, so their length tells what they are.
    """
    suffix = Path(path).suffix.lower()
    if suffix in (".ivecs", ".npy", ".npz", ".parquet"):
        return read(path, mmap=mmap), None
    try:
        return read_truth_bin(path, mmap=mmap)
    except FormatError:
        if suffix != ".ibin":
            raise
    return read_bin(path, mmap=mmap), None


def siblings(path: Path) -> tuple[Path, Path | None] | None:
    """Find the queries and the truth that lie beside ``NAME_base.fvecs``; None for other names."""
    stem, suffix = os.path.splitext(path.name)
    if not stem.endswith("_base") or suffix.lower() not in (".fvecs", ".bvecs"):
        return None
    name = stem.removesuffix("_base")
    queries = path.with_name(f"{name}_query{suffix}")
    if not queries.exists():
        raise ArgumentError(f"{path} needs its queries beside it: {queries} is not there")
    truth = path.with_name(f"{name}_groundtruth.ivecs")
    return queries, truth if truth.exists() else None
