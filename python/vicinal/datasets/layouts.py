"""The layouts that whole sets come in, read with `vicinal.io`; nothing is converted yet."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vicinal.errors import ArgumentError, FormatError
from vicinal.io import read, read_bin, read_hdf5, read_npz, read_truth_bin
from vicinal.io._check import Array, PathLike, format_error
from vicinal.io.hdf5 import hdf5_keys, hdf5_metric
from vicinal.io.npy import npz_keys

__all__ = ["Arrays", "from_hdf5", "from_npz", "read_truth", "siblings"]

# The words of ann-benchmarks and of VIBE; "normalized" rows have length one.
_METRICS = {
    "euclidean": "l2",
    "l2": "l2",
    "angular": "cosine",
    "cosine": "cosine",
    "normalized": "cosine",
    "ip": "ip",
    "dot": "ip",
}
# The names that arrays go by in .npz files, ours first.
_BASE, _QUERIES = ("base", "train", "vectors"), ("query", "queries", "test")
_TRUTH, _DISTANCES = ("gt", "neighbors", "truth"), ("gtd", "distances")
_LONGEST_TEXT_BYTES = 4096


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
    if given is not None and given not in _METRICS:
        raise ArgumentError(
            f"{path} is compared by {given!r}, which this library does not have; "
            f"wanted one of {', '.join(_METRICS)}"
        )
    return Arrays(
        read_hdf5(path, key="train", mmap=mmap),
        read_hdf5(path, key="test", mmap=mmap),
        None if given is None else _METRICS[given],
        read_hdf5(path, key="neighbors", mmap=mmap) if "neighbors" in names else None,
        read_hdf5(path, key="distances", mmap=mmap) if "distances" in names else None,
    )


def from_npz(path: Path) -> Arrays:
    """Read ``base``, ``query`` and perhaps ``gt``, ``gtd`` and ``metric``, or their other names.

    In this layout ``ip`` is said of rows that are to be scaled to length one, which is cosine.
    """
    names = npz_keys(path)

    def pick(choices: tuple[str, ...]) -> str | None:
        return next((name for name in choices if name in names), None)

    base, queries = pick(_BASE), pick(_QUERIES)
    if base is None or queries is None:
        raise ArgumentError(
            f"{path} holds {', '.join(names)}; wanted one of {', '.join(_BASE)} "
            f"and one of {', '.join(_QUERIES)}"
        )
    truth, distances = pick(_TRUTH), pick(_DISTANCES)
    metric = _npz_text(path, "metric") if "metric" in names else None
    if metric is not None and metric not in _METRICS:
        raise ArgumentError(f"{path} has metric {metric!r}, wanted one of {', '.join(_METRICS)}")
    if metric is not None:
        metric = "cosine" if metric == "ip" else _METRICS[metric]
    return Arrays(
        read_npz(path, key=base),
        read_npz(path, key=queries),
        metric,
        None if truth is None else read_npz(path, key=truth),
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


def _npz_text(path: Path, key: str) -> str:
    """Read a word; `read_npz` reads numbers only."""
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(f"{key}.npy")
            if info.file_size > _LONGEST_TEXT_BYTES:
                raise format_error(
                    path, info.header_offset, f"{key} has {info.file_size} bytes, wanted a word"
                )
            with archive.open(info) as file:
                packed = file.read(_LONGEST_TEXT_BYTES)
        value = np.load(io.BytesIO(packed), allow_pickle=False)
    except FormatError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        ValueError,
        EOFError,
        MemoryError,
        RuntimeError,
        OverflowError,
        TypeError,
        SyntaxError,
        NotImplementedError,
    ) as error:
        raise format_error(path, 0, f"{key} cannot be read ({error})") from error
    if value.dtype.kind not in "US" or value.ndim != 0:
        raise format_error(path, 0, f"{key} is {value.dtype} of shape {value.shape}, wanted a word")
    text = value.item()
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
