"""The door for those who do not want to choose: picks an index, calibrates it, says what it did."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vicinal import _core
from vicinal._convert import as_ids, as_seed, as_vectors
from vicinal._types import Array, Ids, Metric, Progress
from vicinal.errors import ArgumentError, CancelledError, DimensionError, RecallWarning
from vicinal.flat import FlatIndex
from vicinal.hnsw import HNSWIndex
from vicinal.report import BuildReport

__all__ = ["build"]

#: Up to so many numbers a scan reads at most 4 MiB per query: about a tenth of a millisecond, from
#: a cache that is near. A graph would save little and could miss.
EXACT_NUMBERS = 1 << 20
K = 10
SAMPLE = 1000
LARGEST_EF = 4096
#: Exact answers are found block by block, so that they cost at most this many numbers of memory.
BLOCK_NUMBERS = 1 << 24
LARGEST_FLOAT16 = 65504.0


def build(
    vectors: npt.ArrayLike,
    metric: Metric | str = "l2",
    *,
    recall: float = 0.95,
    ids: npt.ArrayLike | None = None,
    queries: npt.ArrayLike | None = None,
    threads: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> FlatIndex | HNSWIndex:
    """Build an index that finds the asked share of the true neighbours; says what it chose.

    The rule: exact search (:class:`FlatIndex`, float32) if ``n * dim`` is at most 2**20, since a
    scan then takes about a tenth of a millisecond, or if `recall` is 1. Otherwise a graph
    (:class:`HNSWIndex`) over SQ8 codes, refined by float16 (float32 if a value is too large for
    that), whose ``ef`` is the smallest found to reach `recall` in the first ten neighbours on one
    half of a sample; the recall on the other half is what ``index.report`` tells.

    The sample is up to 1000 of the `queries`, or else of the vectors, each looked for without
    itself. Vectors are easier to find than queries of another kind (questions against texts, say):
    give `queries` if yours differ.

    Parameters
    ----------
    vectors : array_like, shape (n, dim)
        n >= 1. float64, float32, float16, int8 or uint8 at any strides are read in place.
    metric : {"l2", "ip", "cosine"}
        Squared Euclidean distance, negative inner product or 1 - cosine: smaller is nearer.
    recall : float
        Share of the ten true nearest neighbours to find, above 0 and up to 1.
    ids : array_like of int, shape (n,), optional
        Each from 0 to 2**63 - 1, none twice; 0 to n - 1 unless given.
    queries : array_like, shape (q, dim), optional
        Queries like those to come, to calibrate with. At least 2; some hundred make a good
        measurement. They are not added.
    threads : int, optional
        How many to use, 1 to 1024. The index does not depend on it.
    seed : int
        From 0; the only source of randomness.
    progress : callable, optional
        ``progress(stage, done, total)``; returning False stops with a
        :class:`~vicinal.CancelledError`.

    Returns
    -------
    FlatIndex or HNSWIndex
        Ready to search; ``index.report`` says what was chosen, why, and what was measured.

    Raises
    ------
    DimensionError, ArgumentError, TypeError
        As :meth:`FlatIndex.add`; also if `recall` is out of range or there are no vectors.

    Warns
    -----
    RecallWarning
        The recall was not reached even with the largest ``ef`` tried, 4096.
    """
    start = time.perf_counter()
    rows = _matrix(vectors, "vectors")
    recall = _share(recall)
    seed = as_seed(seed)
    if rows.shape[0] == 0:
        raise ArgumentError("vectors has 0 rows; wanted at least 1")
    names = None if ids is None else as_ids(ids, "ids")
    given = None if queries is None else _matrix(queries, "queries")
    if given is not None and given.shape[1] != rows.shape[1]:
        raise DimensionError(f"queries has {given.shape[1]} columns; vectors has {rows.shape[1]}")
    if given is not None and given.shape[0] < 2:
        raise ArgumentError(f"queries has {given.shape[0]} rows; wanted at least 2")

    if rows.size <= EXACT_NUMBERS:
        why = f"{rows.size:,} numbers in all: a scan is quick and exact (up to {EXACT_NUMBERS:,})"
        return _exact(rows, metric, names, threads, progress, seed, recall, why, start)
    if recall == 1.0:
        why = "a recall of 1 was asked for, and only exact search promises that"
        return _exact(rows, metric, names, threads, progress, seed, recall, why, start)

    refine = "float16" if metric == "cosine" or _fits_float16(rows) else "float32"
    index = HNSWIndex(rows.shape[1], metric, codec="sq8", refine=refine, seed=seed)
    index.add(rows, names, threads=threads, progress=progress)
    index.reorder(threads=threads, progress=progress)

    task = _Task(rows, names, str(metric), threads, progress)
    tune, check = _sample(rows, given, seed)
    truth = task.truth(np.concatenate([tune.own, check.own]), [tune.queries, check.queries])
    ef, tuned = _smallest_ef(task, index, tune, truth[0], recall)
    index.ef = ef
    measured = task.recall(index, check, truth[1], ef)
    rate = _queries_per_second(index, check)
    why = (
        f"{rows.size:,} numbers in all: too many to scan for every query; sq8 codes to walk, "
        f"{refine} to re-rank"
    )
    index._report = BuildReport(
        kind="HNSWIndex",
        why=why,
        rows=len(index),
        dim=index.dim,
        metric=index.metric,
        target_recall=recall,
        recall=measured,
        tuned_recall=tuned,
        reached=tuned >= recall,
        ef=ef,
        sample=len(tune.own) + len(check.own),
        sample_source="rows" if given is None else "queries",
        queries_per_second=rate,
        bytes_per_vector=index.memory().total / len(index),
        build_seconds=time.perf_counter() - start,
        level=_core.cpu_info()[3],
        seed=seed,
    )
    if tuned < recall:
        warnings.warn(
            f"recall@{K} of {recall:g} was not reached: {tuned:.4f} at ef {ef}, the largest tried. "
            "Try HNSWIndex with more links, a larger build_ef or codec='float32'; recall=1 gives "
            "exact search",
            RecallWarning,
            stacklevel=2,
        )
    return index


def _matrix(values: npt.ArrayLike, argument: str) -> Array:
    array = as_vectors(values, argument)
    if array.ndim != 2:
        raise ArgumentError(f"{argument} has {array.ndim} dimensions; wanted 2, one vector per row")
    return array


def _share(recall: object) -> float:
    if isinstance(recall, bool) or not isinstance(recall, float | int | np.floating | np.integer):
        raise TypeError(f"recall must be a number, got {type(recall).__name__} {recall!r}")
    share = float(recall)
    if not 0 < share <= 1:
        raise ArgumentError(f"recall must be above 0 and at most 1, got {recall!r}")
    return share


def _fits_float16(rows: Array) -> bool:
    if rows.dtype.itemsize <= 2:
        return True  # float16, int8, uint8
    block = max(1, BLOCK_NUMBERS // rows.shape[1])
    return all(
        float(max(part.max(), -part.min())) <= LARGEST_FLOAT16
        for part in (rows[at : at + block] for at in range(0, len(rows), block))
    )


def _exact(
    rows: Array,
    metric: str,
    ids: Ids | None,
    threads: int | None,
    progress: Progress | None,
    seed: int,
    recall: float,
    why: str,
    start: float,
) -> FlatIndex:
    index = FlatIndex(rows.shape[1], metric)
    index.add(rows, ids, threads=threads, progress=progress)
    index._report = BuildReport(
        kind="FlatIndex",
        why=why,
        rows=len(index),
        dim=index.dim,
        metric=index.metric,
        target_recall=recall,
        recall=1.0,
        tuned_recall=1.0,
        reached=True,
        ef=0,
        sample=0,
        sample_source="none",
        queries_per_second=0.0,
        bytes_per_vector=index.memory().total / len(index),
        build_seconds=time.perf_counter() - start,
        level=_core.cpu_info()[3],
        seed=seed,
    )
    return index


@dataclass(frozen=True)
class _Sample:
    """Queries, and for each the row that it is, or -1."""

    queries: Array
    own: Ids


def _sample(rows: Array, given: Array | None, seed: int) -> tuple[_Sample, _Sample]:
    """Two halves, drawn without repeats."""
    source = rows if given is None else given
    count = min(SAMPLE, source.shape[0])
    drawn = np.random.default_rng(seed).choice(source.shape[0], size=count, replace=False)
    halves = (drawn[: count // 2], drawn[count // 2 :])

    def take(places: npt.NDArray[Any]) -> _Sample:
        own = places if given is None else np.full(len(places), -1)
        return _Sample(source[places], own.astype(np.int64))

    return take(halves[0]), take(halves[1])


def _without_own(ids: Ids, own: Ids, k: int) -> npt.NDArray[np.intp]:
    """Per query the places of its first k ids that are not its own."""
    return np.argsort(ids == own[:, None], axis=1, kind="stable")[:, :k]


class _Task:
    """The vectors and how to look things up among them, exactly."""

    def __init__(
        self,
        rows: Array,
        names: Ids | None,
        metric: str,
        threads: int | None,
        progress: Progress | None,
    ) -> None:
        self.rows = rows
        self.names = names
        self.metric = metric
        self.threads = threads
        self.progress = progress
        self.order = None if names is None else np.argsort(names, kind="stable")

    def report(self, stage: str, done: int, total: int) -> None:
        if self.progress is not None and self.progress(stage, done, total) is False:
            raise CancelledError(f"stopped by progress while {stage}")

    def truth(self, own: Ids, parts: list[Array]) -> list[Ids]:
        """Rows of the K nearest of each query, per part; block by block over the vectors."""
        queries = np.concatenate(parts)
        total, dim = self.rows.shape
        block = max(1, BLOCK_NUMBERS // dim)
        best_ids = np.empty((len(queries), 0), np.int64)
        best = np.empty((len(queries), 0), np.float32)
        for at in range(0, total, block):
            self.report("finding exact answers", at, total)
            part = self.rows[at : at + block]
            flat = FlatIndex(dim, self.metric)
            flat.add(part, np.arange(at, at + len(part)), threads=self.threads)
            found = flat.search(queries, K + 1, threads=self.threads)
            ids = np.hstack([best_ids, found.ids])
            distances = np.hstack([best, found.distances])
            keep = np.argsort(distances, axis=1, kind="stable")[:, : K + 1]
            best_ids = np.take_along_axis(ids, keep, axis=1)
            best = np.take_along_axis(distances, keep, axis=1)
        self.report("finding exact answers", total, total)
        first = np.take_along_axis(best_ids, _without_own(best_ids, own, K), axis=1)
        return np.split(first, [len(parts[0])])

    def row_of(self, ids: Ids) -> Ids:
        if self.names is None or self.order is None:
            return ids
        places = np.searchsorted(self.names, ids, sorter=self.order)
        return self.order[np.minimum(places, len(self.order) - 1)]

    def distances(self, queries: Array, rows: Ids) -> npt.NDArray[np.float64]:
        """In double, shape of rows; so that ties are ties on both sides of a comparison."""
        out = np.empty(rows.shape)
        for at, (query, near) in enumerate(zip(queries, rows, strict=True)):
            q = query.astype(np.float64)
            x = self.rows[near].astype(np.float64)
            if self.metric == "l2":
                out[at] = ((x - q) ** 2).sum(axis=1)
            else:
                out[at] = -(x @ q)
                if self.metric == "cosine":
                    out[at] /= np.sqrt((x * x).sum(axis=1) * (q @ q))
        return out

    def recall(self, index: HNSWIndex, sample: _Sample, truth: Ids, ef: int) -> float:
        """Share of places filled by something as near as the true K-th neighbour."""
        found = index.search(sample.queries, K + 1, ef=ef, threads=self.threads).ids
        known = found >= 0
        rows = np.where(known, self.row_of(np.maximum(found, 0)), -1)
        places = _without_own(rows, sample.own, K)
        rows = np.take_along_axis(rows, places, axis=1)
        limit = self.distances(sample.queries, truth).max(axis=1)
        # The two sums may run in different order: ties may differ in the last bits.
        limit += 1e-12 * np.abs(limit)
        hits = (self.distances(sample.queries, rows) <= limit[:, None]) & (rows >= 0)
        return float(hits.mean())


def _smallest_ef(
    task: _Task, index: HNSWIndex, sample: _Sample, truth: Ids, target: float
) -> tuple[int, float]:
    """Double until the target is reached, then halve the gap until it is within 1/16."""
    largest = min(LARGEST_EF, max(K, len(index)))
    tried: dict[int, float] = {}

    def measure(ef: int) -> float:
        task.report("choosing ef", len(tried), 0)
        tried[ef] = task.recall(index, sample, truth, ef)
        return tried[ef]

    low, high = K, K
    while measure(high) < target:
        if high >= largest:
            return high, tried[high]
        low, high = high, min(2 * high, largest)
    while high - low > max(1, low // 16):
        middle = (low + high) // 2
        if measure(middle) >= target:
            high = middle
        else:
            low = middle
    return high, tried[high]


def _queries_per_second(index: HNSWIndex, sample: _Sample) -> float:
    begin = time.perf_counter()
    index.search(sample.queries, K, threads=1)
    return len(sample.queries) / max(time.perf_counter() - begin, 1e-9)
