"""Compare codecs on real data: recall before and after re-ranking, bytes, and rates."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vicinal._types import Array, Metric, Progress
from vicinal.codecs import TrainedCodec
from vicinal.errors import ArgumentError
from vicinal.evaluate import ground_truth, recall_at_k
from vicinal.flat import FlatIndex
from vicinal.params import Codec, as_codec

__all__ = ["CodecPoint", "compare_codecs", "usual_codecs"]

_TIMED_QUERIES = 64


@dataclass(frozen=True)
class CodecPoint:
    """What one codec did.

    Parameters
    ----------
    codec : str
        Its text.
    bytes_per_vector : int
        Of a code, everything that belongs to one vector counted.
    shared_bytes : int
        What was learned, once for all vectors.
    recall : float
        Share of the k true nearest among the k that the codes alone rank first.
    recall_after : dict of int to float
        Number of candidates to recall once so many are re-ranked with the vectors themselves: the
        share of the k true nearest that is among them.
    train_seconds, encode_seconds : float
    encode_rows_per_second : float
        Training not counted.
    scan_rows_per_second : float
        Codes compared with one query at a time on one thread; the median over queries.
    problem : str
        Why there is nothing else, if the codec refused this data; else empty.
    """

    codec: str
    bytes_per_vector: int = 0
    shared_bytes: int = 0
    recall: float = 0.0
    recall_after: dict[int, float] | None = None
    train_seconds: float = 0.0
    encode_seconds: float = 0.0
    encode_rows_per_second: float = 0.0
    scan_rows_per_second: float = 0.0
    problem: str = ""


def usual_codecs(dim: int) -> tuple[Codec, ...]:
    """Return a spread of codecs over the sizes that make sense at this many dimensions."""
    texts = ["signs", "rabitq1"]
    texts += [f"pq{parts}" for parts in (16, 32, 48, 96) if parts <= dim // 2]
    texts += [f"pq{parts}x4" for parts in (32, 64, 96) if parts <= dim]
    texts += [f"rq{levels}" for levels in (16, 32) if levels <= dim // 4]
    texts += ["rabitq2", "rabitq4", "sq4", "float8", "sq8", "float16"]
    return tuple(as_codec(text) for text in texts)


def compare_codecs(
    base: npt.ArrayLike,
    queries: npt.ArrayLike,
    codecs: Sequence[Codec | str] | None = None,
    *,
    metric: Metric | str = "l2",
    k: int = 10,
    candidates: Sequence[int] = (20, 100, 500),
    truth: npt.ArrayLike | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[CodecPoint]:
    """Measure codecs in exhaustive search, so that nothing but the codes loses neighbours.

    Parameters
    ----------
    base : array_like, shape (n, dim)
        The codecs learn from it.
    queries : array_like, shape (q, dim)
        Not part of `base`.
    codecs : sequence of Codec or str, optional
        :func:`usual_codecs` if not given.
    metric : {"l2", "ip", "cosine"}
    k : int
        Neighbours per query.
    candidates : sequence of int
        How many of the nearest codes are re-ranked; each at least k.
    truth : array_like of int, shape (q, >= k), optional
        Ids of the true nearest, nearest first; computed if not given.
    threads : int, optional
        For training and encoding. Scans are timed on one thread.
    progress : callable, optional
        As for :meth:`FlatIndex.add`.

    Returns
    -------
    list of CodecPoint
        In the order of `codecs`; one that refuses this data says why.

    Raises
    ------
    ArgumentError
        Arrays that do not belong together, k or candidates out of range. A ``ValueError``.
    """
    rows = np.atleast_2d(np.asarray(base))
    asked = np.atleast_2d(np.asarray(queries))
    if len(asked) == 0:
        raise ArgumentError("queries has 0 rows; wanted at least 1")
    if not 1 <= k <= len(rows):
        raise ArgumentError(f"k must be 1 to the number of vectors {len(rows)}, got {k}")
    if any(depth < k for depth in candidates):
        raise ArgumentError(f"candidates must be {k} (k) or more each, got {list(candidates)}")
    chosen = usual_codecs(rows.shape[1]) if codecs is None else [as_codec(c) for c in codecs]
    if truth is None:
        truth = ground_truth(rows, asked, k, metric, threads=threads, progress=progress).ids
    true = np.asarray(truth)
    points = []
    for codec in chosen:
        try:
            points.append(
                _measure(codec, rows, asked, true, metric, k, tuple(candidates), threads, progress)
            )
        except ArgumentError as error:
            points.append(CodecPoint(str(codec), problem=str(error)))
    return points


def _measure(
    codec: Codec,
    base: Array,
    queries: Array,
    truth: Array,
    metric: Metric | str,
    k: int,
    candidates: tuple[int, ...],
    threads: int | None,
    progress: Progress | None,
) -> CodecPoint:
    start = time.perf_counter()
    trained = TrainedCodec.train(codec, base, metric=metric, threads=threads, progress=progress)
    train_seconds = time.perf_counter() - start
    start = time.perf_counter()
    trained.encode(base, threads=threads, progress=progress)
    encode_seconds = time.perf_counter() - start

    index = FlatIndex(base.shape[1], metric, codec=codec)
    index.add(base, threads=threads, progress=progress)
    most = min(len(base), max((k, *candidates)))
    found = index.search(queries, most, threads=threads, progress=progress).ids
    seconds = []
    for query in queries[:_TIMED_QUERIES]:
        start = time.perf_counter()
        index.search(query, k, threads=1)
        seconds.append(time.perf_counter() - start)
    learned = sum(
        part.bytes for part in index.memory().parts if part.name not in {"codes", "reserve"}
    )
    true = truth[:, :k]
    return CodecPoint(
        str(codec),
        trained.bytes,
        learned,
        recall_at_k(found[:, :k], true, k),
        {depth: _covered(found[:, :depth], true) for depth in candidates},
        train_seconds,
        encode_seconds,
        len(base) / encode_seconds,
        len(base) / statistics.median(seconds),
    )


def _covered(found: Array, true: Array) -> float:
    """Share of the true ids that are among those found, however many these are."""
    keyed = np.arange(len(found), dtype=np.int64)[:, None]
    span = int(max(found.max(), true.max())) + 2
    hits = np.isin(true + 1 + keyed * span, found + 1 + keyed * span) & (true >= 0)
    there = (true >= 0).sum()
    return float(hits.sum() / there) if there else 1.0
