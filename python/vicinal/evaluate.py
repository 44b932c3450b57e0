"""Measure an index: recall against the truth, and throughput.

Recall can be judged by ids or by distances. By ids, of two neighbours at the very same distance
only the one that the truth names counts; by distance both do. Where data holds duplicates, the
second is the fairer one.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vicinal._convert import as_ids
from vicinal._types import Array, Progress
from vicinal.errors import CancelledError
from vicinal.flat import FlatIndex
from vicinal.hnsw import HNSWIndex
from vicinal.ivf import IVFIndex
from vicinal.results import Neighbors

__all__ = [
    "OperatingPoint",
    "Throughput",
    "ground_truth",
    "recall_at_k",
    "recall_by_distance",
    "recall_per_query",
    "sweep",
    "throughput",
]

_COMPARISONS_AT_ONCE = 1 << 25  # bytes of one block of comparisons
_BASE_ROWS_AT_ONCE = 1 << 19


def recall_per_query(
    found_ids: npt.ArrayLike, true_ids: npt.ArrayLike, k: int | None = None
) -> npt.NDArray[np.float64]:
    """Share of the true neighbours that were found, for each query.

    Parameters
    ----------
    found_ids : array_like of int, shape (q, >= k)
        As searched, nearest first; -1 marks a missing place. An id found twice counts once.
    true_ids : array_like of int, shape (q, >= k)
        The truth, nearest first; -1 marks a missing place.
    k : int, optional
        Places compared; as many as both have if not given.

    Returns
    -------
    ndarray of float64, shape (q,)
        Between 0 and 1. Divided by the number of true neighbours there are, at most k; 1 where
        there are none.

    Raises
    ------
    ValueError
        Different numbers of queries, fewer than k columns, or not whole numbers.
    """
    found, true = _pair(found_ids, true_ids, ("found_ids", "true_ids"), "iu")
    k = _places(found, true, k, ("found_ids", "true_ids"))
    found, true = found[:, :k], true[:, :k]
    hits = np.empty(len(true), np.int64)
    step = max(1, _COMPARISONS_AT_ONCE // (k * k))
    for start in range(0, len(true), step):
        some = slice(start, start + step)
        same = true[some, :, None] == found[some, None, :]
        hits[some] = (same.any(axis=2) & (true[some] >= 0)).sum(axis=1)
    there = (true >= 0).sum(axis=1)
    return np.where(there == 0, 1.0, hits / np.maximum(there, 1))


def recall_at_k(found_ids: npt.ArrayLike, true_ids: npt.ArrayLike, k: int | None = None) -> float:
    """Mean share of the k true nearest neighbours that are among the k found.

    Parameters
    ----------
    found_ids, true_ids : array_like of int, shape (q, >= k)
        Nearest first; -1 marks a missing place.
    k : int, optional
        Places compared; as many as both have if not given.

    Returns
    -------
    float
        Between 0 and 1; nan without queries.

    Raises
    ------
    ValueError
        As `recall_per_query`.

    References
    ----------
    Aumueller, Bernhardsson and Faithfull, Information Systems 87, 2020, section 2.
    """
    recalls = recall_per_query(found_ids, true_ids, k)
    return float(recalls.mean()) if recalls.size else float("nan")


def recall_by_distance(
    found_distances: npt.ArrayLike,
    true_distances: npt.ArrayLike,
    k: int | None = None,
    epsilon: float = 1e-5,
) -> float:
    """Mean share of the k places filled with something as near as the k-th true neighbour.

    Ties need no ids: whatever lies within the true k-th distance counts.

    Parameters
    ----------
    found_distances, true_distances : array_like of float, shape (q, >= k)
        Smaller is nearer, nearest first; inf marks a missing place. Same unit.
    k : int, optional
        Places compared; as many as both have if not given.
    epsilon : float
        Relative slack, so that rounding does not decide: found counts if it is at most
        ``true + epsilon * abs(true)``. The default is a hundred float32 roundings.

    Returns
    -------
    float
        Between 0 and 1; nan without queries.

    Raises
    ------
    ValueError
        Different numbers of queries, fewer than k columns, NaN, or a negative epsilon.

    References
    ----------
    Aumueller, Bernhardsson and Faithfull, Information Systems 87, 2020, section 2: (1 + epsilon)
    approximate recall.
    """
    names = ("found_distances", "true_distances")
    found, true = _pair(found_distances, true_distances, names, "fiu")
    k = _places(found, true, k, names)
    if not epsilon >= 0:
        raise ValueError(f"epsilon is {epsilon}, wanted 0 or more")
    found, true = found[:, :k].astype(np.float64), true[:, :k].astype(np.float64)
    for name, array in zip(names, (found, true), strict=True):
        if np.isnan(array).any():
            row = int(np.flatnonzero(np.isnan(array).any(axis=1))[0])
            raise ValueError(f"{name} has NaN in row {row}")
    if not len(true):
        return float("nan")
    there = np.isfinite(true).sum(axis=1)
    # With fewer than k true neighbours the last real one is the bar.
    last = true[np.arange(len(true)), np.maximum(there, 1) - 1]
    last = np.where(there == 0, -np.inf, last)
    with np.errstate(invalid="ignore"):
        bar = np.where(there == 0, -np.inf, last + epsilon * np.abs(last))
    hits = np.minimum((found <= bar[:, None]).sum(axis=1), there)
    return float(np.where(there == 0, 1.0, hits / np.maximum(there, 1)).mean())


def ground_truth(
    base: npt.ArrayLike,
    queries: npt.ArrayLike,
    k: int = 100,
    metric: str = "l2",
    *,
    ids: npt.ArrayLike | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Neighbors:
    """Find the true nearest neighbours by comparing every row, in float32.

    Parameters
    ----------
    base : array_like, shape (n, dim)
        May be mapped: half a million rows are held at a time.
    queries : array_like, shape (q, dim)
    k : int
        Neighbours per query, 1 or more.
    metric : {'l2', 'ip', 'cosine'}
    ids : array_like of int, shape (n,), optional
        What to call the rows; 0 to n - 1 if not given.
    threads : int, optional
    progress : callable, optional
        Called with a stage, rows done and rows in all.

    Returns
    -------
    Neighbors
        ``ids`` int64 and ``distances`` float32, (q, k), nearest first, ties by smaller id; missing
        places hold -1 and inf. Squared L2, negative inner product or 1 - cosine.

    Raises
    ------
    ValueError
        Shapes that do not fit, or k below 1.
    """
    rows: Array = np.asarray(base)
    asked: Array = np.asarray(queries)
    if rows.ndim != 2 or asked.ndim != 2:
        raise ValueError(
            f"base has {rows.ndim} and queries {asked.ndim} dimensions, wanted 2 and 2"
        )
    if k < 1:
        raise ValueError(f"k is {k}, wanted 1 or more")
    names = np.arange(len(rows)) if ids is None else as_ids(ids, "ids")
    if names.shape != (len(rows),):
        raise ValueError(f"ids has shape {names.shape}, wanted ({len(rows)},)")
    best_ids = np.full((len(asked), k), -1, np.int64)
    best = np.full((len(asked), k), np.inf, np.float32)
    for start in range(0, len(rows), _BASE_ROWS_AT_ONCE):
        block = rows[start : start + _BASE_ROWS_AT_ONCE]
        index = FlatIndex(dim=rows.shape[1], metric=metric)
        index.add(block, ids=names[start : start + len(block)], threads=threads)
        hits = index.search(asked, k, threads=threads)
        both_ids = np.concatenate([best_ids, hits.ids], axis=1)
        both = np.concatenate([best, hits.distances], axis=1)
        order = np.lexsort((both_ids, both), axis=1)[:, :k]
        best_ids = np.take_along_axis(both_ids, order, axis=1)
        best = np.take_along_axis(both, order, axis=1)
        done = start + len(block)
        if progress is not None and progress("comparing", done, len(rows)) is False:
            raise CancelledError("stopped by progress while comparing")
    return Neighbors(best_ids, best)


@dataclass(frozen=True)
class Throughput:
    """How fast something answered."""

    queries: int
    """Queries in one repeat."""
    seconds: tuple[float, ...]
    """Wall time of each repeat."""

    @property
    def per_second(self) -> float:
        """Queries per second in the median repeat."""
        return self.queries / max(statistics.median(self.seconds), 1e-9)

    @property
    def microseconds(self) -> float:
        """Microseconds per query in the median repeat."""
        return 1e6 * statistics.median(self.seconds) / max(self.queries, 1)


def throughput(
    search: Callable[[], object], queries: int, *, repeats: int = 5, warmup: int = 1
) -> Throughput:
    """Time a call that answers so many queries; the median of the repeats counts.

    Parameters
    ----------
    search : callable
        Called without arguments; answers all the queries once.
    queries : int
        How many it answers.
    repeats : int
        Timed calls, 1 or more.
    warmup : int
        Calls before them that are not timed, so that caches and mapped pages are filled.

    Returns
    -------
    Throughput

    Raises
    ------
    ValueError
        repeats below 1, or warmup or queries below 0.
    """
    if repeats < 1 or warmup < 0 or queries < 0:
        raise ValueError(
            f"need repeats >= 1, warmup >= 0 and queries >= 0, got {repeats}, {warmup}, {queries}"
        )
    for _ in range(warmup):
        search()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        search()
        seconds.append(time.perf_counter() - start)
    return Throughput(queries, tuple(seconds))


@dataclass(frozen=True)
class OperatingPoint:
    """What one setting of an index reached."""

    ef: int | None
    """Candidates kept per query, or lists looked into; None where the index has no such setting."""
    recall: float
    """Mean share of the true neighbours found, by ids."""
    recall_by_distance: float | None
    """The same by distances, ties counted; None if the true distances are not known."""
    queries_per_second: float
    microseconds: float
    """Per query."""


def sweep(
    index: FlatIndex | HNSWIndex | IVFIndex,
    queries: npt.ArrayLike,
    true_ids: npt.ArrayLike,
    k: int = 10,
    efs: Sequence[int] = (16, 32, 64, 128, 256),
    *,
    true_distances: npt.ArrayLike | None = None,
    repeats: int = 3,
    threads: int | None = 1,
    progress: Progress | None = None,
) -> list[OperatingPoint]:
    """Recall and throughput of an index at each ``ef``, or ``nprobe`` of inverted lists.

    Parameters
    ----------
    index : FlatIndex, HNSWIndex or IVFIndex
        An exact index has no such setting and gives one point.
    queries : array_like, shape (q, dim)
    true_ids : array_like of int, shape (q, >= k)
    k : int
    efs : sequence of int
        Of a graph, values below k are the same as k.
    true_distances : array_like of float, shape (q, >= k), optional
        As the index counts them; adds the recall by distance.
    repeats : int
        Timed passes over all queries per setting; the median counts.
    threads : int, optional
        Search threads; one, so that figures compare, if not given.
    progress : callable, optional
        Called with a stage, settings done and settings in all.

    Returns
    -------
    list of OperatingPoint
    """
    asked: Array = np.asarray(queries)
    settings: list[int | None] = [None] if isinstance(index, FlatIndex) else list(efs)
    effort = "nprobe" if isinstance(index, IVFIndex) else "ef"
    points = []
    for done, ef in enumerate(settings):
        if progress is not None:
            progress("measuring", done, len(settings))
        how: dict[str, Any] = {"threads": threads}
        if ef is not None:
            how[effort] = ef
        search = functools.partial(index.search, asked, k, **how)
        hits = search()
        by_distance = None
        if true_distances is not None:
            by_distance = recall_by_distance(hits.distances, true_distances, k, 1e-3)
        speed = throughput(search, len(asked), repeats=repeats, warmup=0)
        points.append(
            OperatingPoint(
                ef,
                recall_at_k(hits.ids, true_ids, k),
                by_distance,
                speed.per_second,
                speed.microseconds,
            )
        )
    if progress is not None:
        progress("measuring", len(settings), len(settings))
    return points


def _pair(
    found: npt.ArrayLike, true: npt.ArrayLike, names: tuple[str, str], kinds: str
) -> tuple[Array, Array]:
    arrays: list[Array] = [np.asarray(found), np.asarray(true)]
    for name, array in zip(names, arrays, strict=True):
        if array.ndim != 2:
            raise ValueError(f"{name} has {array.ndim} dimensions, wanted 2")
        if array.dtype.kind not in kinds:
            raise ValueError(f"{name} holds {array.dtype}")
    if len(arrays[0]) != len(arrays[1]):
        raise ValueError(
            f"{names[0]} has {len(arrays[0])} rows, wanted {len(arrays[1])} as {names[1]}"
        )
    return arrays[0], arrays[1]


def _places(found: Array, true: Array, k: int | None, names: tuple[str, str]) -> int:
    if k is None:
        k = min(found.shape[1], true.shape[1])
    for name, array in zip(names, (found, true), strict=True):
        if not 1 <= k <= array.shape[1]:
            raise ValueError(f"k is {k}, but {name} has {array.shape[1]} columns")
    return k
