"""Data files: npz (base, query, gt, gtd, metric) and HDF5 in the layout of ann-benchmarks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

HDF5 = {".hdf5", ".h5"}


@dataclass(frozen=True)
class Dataset:
    """Vectors as every library gets them: float32, C order, unit rows under inner product.

    ``truth`` holds the row numbers of the exact nearest neighbours, nearest first.
    """

    name: str
    metric: str  # "l2" or "ip"
    base: Floats
    query: Floats
    truth: Ints

    @property
    def dim(self) -> int:
        return int(self.base.shape[1])

    @property
    def measure(self) -> str:
        """Unit rows by cosine, which orders them as the inner product does."""
        return "l2" if self.metric == "l2" else "cosine"


def load(path: str | Path, *, max_queries: int | None = None) -> Dataset:
    """Read a data file; uint8 and float16 become float32, so that nobody gets other numbers.

    Queries come in a random order, always the same: the first few stand for all of them.
    """
    path = Path(path)
    if path.suffix in HDF5:
        base, query, truth, metric = _from_hdf5(path)
    else:
        with np.load(path) as file:
            base, query, truth = file["base"], file["query"], file["gt"]
            metric = str(file["metric"])
    order = np.random.default_rng(0).permutation(len(query))[:max_queries]
    query, truth = query[order], truth[order]
    base, query = _as_float32(base), _as_float32(query)
    if metric == "ip":
        base, query = _unit(base), _unit(query)
    return Dataset(path.stem, metric, base, query, truth.astype(np.int64))


def shape(path: str | Path) -> tuple[int, int]:
    """Rows and dimensions of a data file."""
    path = Path(path)
    if path.suffix in HDF5:
        base = _from_hdf5(path)[0]
    else:
        with np.load(path) as file:
            base = file["base"]
    return int(base.shape[0]), int(base.shape[1])


def sha256(path: str | Path) -> str:
    """Of the file as it lies there."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _from_hdf5(path: Path) -> tuple[Any, Any, Any, str]:
    import h5py

    with h5py.File(path, "r") as file:
        distance = str(file.attrs.get("distance", "euclidean"))
        metrics = {"euclidean": "l2", "angular": "ip"}
        if distance not in metrics:
            raise ValueError(f"{path}: distance {distance!r}; only {sorted(metrics)} are measured")
        return file["train"][:], file["test"][:], file["neighbors"][:], metrics[distance]


def _as_float32(rows: Any) -> Floats:
    return np.ascontiguousarray(rows, dtype=np.float32)


def _unit(rows: Floats) -> Floats:
    return _as_float32(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def true_distances(data: Dataset, ids: Ints) -> npt.NDArray[np.float64]:
    """Distances of the rows found for the first queries, in double; inf where an id is missing."""
    out = np.full(ids.shape, np.inf)
    rows_at_once = max(1, (32 << 20) // (ids.shape[1] * data.dim * 8))
    for first in range(0, len(ids), rows_at_once):
        part = ids[first : first + rows_at_once]
        found = data.base[np.maximum(part, 0)].astype(np.float64)
        query = data.query[first : first + len(part), None, :].astype(np.float64)
        if data.metric == "l2":
            distance = ((found - query) ** 2).sum(axis=2)
        else:
            distance = 1.0 - (found * query).sum(axis=2)
        out[first : first + rows_at_once] = np.where(part >= 0, distance, np.inf)
    return out


def recall(data: Dataset, ids: Ints, kth: npt.NDArray[np.float64]) -> float:
    """Share of places whose row is no farther than the true k-th neighbour, ties counted as found.

    A row named twice counts once; an id outside the data is no row.
    """
    k = ids.shape[1]
    ids = np.where((ids >= 0) & (ids < len(data.base)), ids, -1)
    ordered = np.sort(ids, axis=1)
    repeats = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    near = true_distances(data, ids) <= kth[: len(ids), None] * (1 + 1e-6) + 1e-12
    return float((near.sum(axis=1) - repeats.sum(axis=1)).clip(min=0).mean() / k)


def kth_distance(data: Dataset, k: int) -> npt.NDArray[np.float64]:
    return true_distances(data, data.truth[:, k - 1 : k])[:, 0]
