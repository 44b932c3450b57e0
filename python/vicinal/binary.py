"""Rows of bits: exact Hamming and Jaccard search, bits out of numbers, and ranking hits again.

Packed bits are uint8, ``(bits + 7) // 8`` bytes a row, in the order of :func:`numpy.packbits`: bit
i is bit ``7 - i % 8`` of byte ``i // 8``. What the last byte has left over is zero.

>>> import numpy as np, vicinal
>>> from vicinal import binary
>>> vectors = np.random.default_rng(0).standard_normal((1000, 96), dtype=np.float32)
>>> index = vicinal.BinaryIndex(dim=96)
>>> index.add(binary.pack(vectors))
>>> hits = binary.search_rescored(index, vectors[:2] * 3, k=1, vectors=vectors, metric="cosine")
>>> hits.ids
array([[0],
       [1]])
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from vicinal import _core
from vicinal._convert import as_allow, as_array, as_count, as_id, as_vectors
from vicinal._core import BinaryIndex as Core
from vicinal._index import Index
from vicinal._types import Distances, Metric, Progress
from vicinal.errors import ArgumentError, DimensionError
from vicinal.results import Neighbors, RangeResult

__all__ = ["BinaryIndex", "pack", "rerank", "search_rescored", "thresholds"]

Bits: TypeAlias = npt.NDArray[np.uint8]
BitMetric: TypeAlias = Literal["hamming", "jaccard"]


class BinaryIndex(Index):
    """Compares every row of bits with every query: exact, at the rate at which memory is read.

    Under "jaccard" rows lie by the number of their bits, and those that have too many or too few
    to be near are skipped; the answer is that of comparing all.

    Any number of searches may run beside one another and beside :meth:`add`, :meth:`remove` and
    :meth:`save`, from any threads.

    Parameters
    ----------
    dim : int
        Bits per row, 1 to 262144.
    metric : {"hamming", "jaccard"}
        The number of bits that differ; or 1 - Jaccard, which chemists call Tanimoto: 1 - common
        bits / bits set in either row, 0 between two rows without any.

    Raises
    ------
    ArgumentError
        One of them has another value. A ``ValueError``.

    References
    ----------
    Swamidass and Baldi, "Bounds and algorithms for fast exact searches of chemical fingerprints in
    linear and sublinear time", J. Chem. Inf. Model. 47(2), 2007: the bound for Jaccard.

    Examples
    --------
    >>> import numpy as np, vicinal
    >>> index = vicinal.BinaryIndex(dim=16)
    >>> index.add(np.array([[0, 255], [1, 255], [255, 0]], np.uint8))
    >>> index.search(np.array([[3, 255]], np.uint8), k=2)
    Neighbors(ids=array([[1, 0]]), distances=array([[1., 2.]], dtype=float32))
    """

    __slots__ = ()

    _core: Core

    def __init__(self, dim: int, metric: BitMetric | str = "hamming") -> None:
        self._begin(Core(dim, metric))

    def add(
        self,
        vectors: npt.ArrayLike,
        ids: npt.ArrayLike | None = None,
        *,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Add rows; searches may go on meanwhile.

        Parameters
        ----------
        vectors : array_like of uint8, shape (n, (dim + 7) // 8), or of bool, shape (n, dim)
            Packed bits at any strides, read in place; bool is packed first. One dimension counts
            as a single row.
        ids : array_like of int, shape (n,), optional
            Each from 0 to 2**63 - 1 and new. Without it, ids continue from the highest so far.
        threads : int, optional
            How many to use, 1 to 1024. The result does not depend on it.
        progress : callable, optional
            ``progress(stage, done, total)``, about ten times a second; returning False stops with
            a :class:`~vicinal.CancelledError`, and nothing has been added.

        Raises
        ------
        DimensionError
            The rows are not of ``dim`` bits. A ``ValueError``, as is the next.
        ArgumentError
            An id is negative, repeated or taken; a row has bits set beyond ``dim``. Nothing has
            changed.
        TypeError
            The rows are neither uint8 nor bool, or the ids no integers. Nothing has changed.
        """
        super().add(_as_bits(vectors, "vectors", self.dim), ids, threads=threads, progress=progress)

    def get(self, id: int) -> Bits:  # type: ignore[override]  # bits where others give numbers
        """Give back a stored row.

        Parameters
        ----------
        id : int

        Returns
        -------
        ndarray of uint8, shape ((dim + 7) // 8,)

        Raises
        ------
        ArgumentError
            There is no such id. A ``ValueError``.
        """
        return self._core.get(as_id(id, "id"))

    @property
    def ids(self) -> npt.NDArray[np.int64]:
        """Every id, ascending: int64, shape (len(index),). A copy."""
        return self._core.ids()

    def search(
        self,
        queries: npt.ArrayLike,
        k: int = 10,
        *,
        allow: npt.ArrayLike | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> Neighbors:
        """Find the nearest rows of each query.

        Parameters
        ----------
        queries : array_like of uint8 or bool
            As the rows of :meth:`add`.
        k : int
            Neighbours per query, from 1. There may be fewer rows than that.
        allow : array_like of bool or of int, optional
            Which rows may be found: a mask (id ``i`` if ``allow[i]``; ids beyond its end not), or
            the ids themselves, in any order.
        threads : int, optional
            How many to use, 1 to 1024. The result does not depend on it.
        progress : callable, optional
            As for :meth:`add`; counts comparisons.

        Returns
        -------
        Neighbors
            ``ids`` int64 and ``distances`` float32, both (q, k), nearest first, ties by smaller
            id. Distances are exact: a count of bits, or 1 - Jaccard rounded once. Missing places
            hold -1 and inf.

        Raises
        ------
        DimensionError
            The queries are not of ``dim`` bits. A ``ValueError``, as is the next.
        ArgumentError
            k or threads is out of range; a query has bits set beyond ``dim``.
        TypeError
            An argument is of the wrong kind.
        """
        bits = _as_bits(queries, "queries", self.dim)
        only = None if allow is None else as_allow(allow)
        return Neighbors(*self._core.search(bits, k, only, threads, progress))

    def range_search(
        self,
        queries: npt.ArrayLike,
        radius: float,
        *,
        allow: npt.ArrayLike | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> RangeResult:
        """Find every row whose distance is at most `radius`.

        Parameters
        ----------
        queries : array_like of uint8 or bool
            As the rows of :meth:`add`.
        radius : float
            In bits under "hamming", in 1 - Jaccard under "jaccard".
        allow, threads, progress
            As for :meth:`search`.

        Returns
        -------
        RangeResult
            Nearest first for each query; ``result.of(i)`` gives the ids and distances of query i.

        Raises
        ------
        DimensionError, ArgumentError, TypeError
            As for :meth:`search`; also if the radius is NaN or no number.
        """
        bits = _as_bits(queries, "queries", self.dim)
        only = None if allow is None else as_allow(allow)
        offsets, ids, distances = self._core.range_search(bits, radius, only, threads, progress)
        return RangeResult(offsets.view(np.int64), ids, distances)

    def rescore(
        self,
        queries: npt.ArrayLike,
        ids: npt.ArrayLike,
        k: int = 10,
        *,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> Neighbors:
        """Rank candidates by the inner product of queries, as numbers, with the stored bits.

        A bit that is set counts +1, another -1. A query keeps its numbers, so this tells
        candidates apart that lie at one Hamming distance; no numbers of the rows are needed.

        Parameters
        ----------
        queries : array_like, shape (q, dim) or (dim,)
            Numbers, one per bit.
        ids : array_like of int, shape (q, c) or (c,)
            Candidates of each query, such as the ids of :meth:`search`. Repeated ones count once;
            -1 and ids that are not in the index are left out.
        k : int
            Neighbours per query, from 1.
        threads, progress
            As for :meth:`search`; progress counts queries.

        Returns
        -------
        Neighbors
            Distances are negative inner products.

        Raises
        ------
        DimensionError, ArgumentError, TypeError
            As for :meth:`search`; also if a query holds NaN or infinity.

        References
        ----------
        Yamada, Asai and Hajishirzi, "Efficient passage retrieval with hashing for open-domain
        question answering", ACL 2021.
        """
        asked = as_vectors(queries, "queries")
        table = _id_table(ids)
        return Neighbors(*self._core.rescore(asked, table, k, threads, progress))

    def __repr__(self) -> str:
        return f"<vicinal.BinaryIndex of {len(self):,} rows: {self.dim} bits, {self.metric}, exact>"


def thresholds(
    vectors: npt.ArrayLike,
    kind: Literal["mean", "median"] | str = "median",
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Distances:
    """Learn what splits the values of each column.

    Parameters
    ----------
    vectors : array_like, shape (n, dim)
        As for :meth:`vicinal.FlatIndex.add`; at least one row.
    kind : {"mean", "median"}
        The median sets each bit in half of the rows, so that every bit tells as much as it can.
    threads, progress
        As for :func:`pack`.

    Returns
    -------
    ndarray of float32, shape (dim,)
        For the `threshold` of :func:`pack` and :func:`search_rescored`.

    Raises
    ------
    ArgumentError
        No rows; NaN or infinity; another kind. A ``ValueError``.
    TypeError
        An argument is of the wrong kind.
    """
    return _core.bit_thresholds(as_vectors(vectors, "vectors"), kind, threads, progress)


def pack(
    vectors: npt.ArrayLike,
    threshold: npt.ArrayLike = "zero",
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Bits:
    """Make bits of numbers: one is set where a value lies above its threshold.

    Parameters
    ----------
    vectors : array_like, shape (n, dim) or (dim,)
        As for :meth:`vicinal.FlatIndex.add`.
    threshold : {"zero", "mean", "median"} or array_like, shape (dim,)
        "mean" and "median" are those of the given vectors. Queries need the thresholds of the rows
        they are compared with: learn them once with :func:`thresholds`.
    threads : int, optional
        How many to use, 1 to 1024. The result does not depend on it.
    progress : callable, optional
        ``progress(stage, done, total)``, about ten times a second; returning False stops with a
        :class:`~vicinal.CancelledError`.

    Returns
    -------
    ndarray of uint8, shape (n, (dim + 7) // 8)

    Raises
    ------
    ArgumentError
        NaN or infinity; another threshold, or not one per column. A ``ValueError``.
    TypeError
        An argument is of the wrong kind.
    """
    rows = as_vectors(vectors, "vectors")
    limits: Distances | None
    if isinstance(threshold, str):
        if threshold not in ("zero", "mean", "median"):
            raise ArgumentError(
                f"threshold must be 'zero', 'mean', 'median' or an array, got {threshold!r}"
            )
        zero = threshold == "zero"
        limits = None if zero else _core.bit_thresholds(rows, threshold, threads, progress)
    else:
        limits = _as_limits(threshold)
    return _core.pack_bits(rows, limits, threads, progress)


def rerank(
    queries: npt.ArrayLike,
    vectors: npt.ArrayLike,
    ids: npt.ArrayLike,
    k: int = 10,
    *,
    metric: Metric | str = "cosine",
    threads: int | None = None,
    progress: Progress | None = None,
) -> Neighbors:
    """Rank candidates by the vectors themselves, which are read for the candidates alone.

    Parameters
    ----------
    queries : array_like, shape (q, dim) or (dim,)
    vectors : array_like, shape (n, dim)
        Row i belongs to id i. An array that is mapped from a file will do.
    ids : array_like of int, shape (q, c) or (c,)
        Candidates of each query, rows of `vectors`; -1 is left out, repeated ones count once.
    k : int
        Neighbours per query, from 1.
    metric : {"l2", "ip", "cosine"}
    threads, progress
        As for :func:`pack`; progress counts queries.

    Returns
    -------
    Neighbors
        Nearest first, ties by smaller id; missing places hold -1 and inf.

    Raises
    ------
    DimensionError
        Queries and vectors are of different widths. A ``ValueError``, as is the next.
    ArgumentError
        An id is no row; NaN or infinity, or under cosine only zeros, in a query or a candidate.
    TypeError
        An argument is of the wrong kind.
    """
    asked, rows = as_vectors(queries, "queries"), as_vectors(vectors, "vectors")
    return Neighbors(*_core.rerank(asked, rows, _id_table(ids), k, metric, threads, progress))


def search_rescored(
    index: BinaryIndex,
    queries: npt.ArrayLike,
    k: int = 10,
    *,
    threshold: npt.ArrayLike = "zero",
    candidates: int | None = None,
    vectors: npt.ArrayLike | None = None,
    survivors: int | None = None,
    metric: Metric | str = "cosine",
    allow: npt.ArrayLike | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Neighbors:
    """Search bits with queries of numbers, in stages: bits, numbers x bits, numbers.

    The bits of the queries find candidates, :meth:`BinaryIndex.rescore` ranks them by the numbers
    of the query, and, if there are `vectors`, :func:`rerank` ranks the survivors by these.

    Parameters
    ----------
    index : BinaryIndex
        Of :func:`pack` with the same threshold.
    queries : array_like, shape (q, dim) or (dim,)
        Numbers, one per bit.
    k : int
        Neighbours per query, from 1.
    threshold : "zero" or array_like, shape (dim,)
        As it was for the rows.
    candidates : int, optional
        Rows that the bits find for each query, from `k`; default 20 k, 200 at least.
    vectors : array_like, shape (n, dim), optional
        The rows themselves, row i for id i.
    survivors : int, optional
        Candidates that `vectors` re-ranks, from `k`; default 4 k, 50 at least.
    metric : {"l2", "ip", "cosine"}
        What `vectors` are ranked by. Under "l2" the bits stand for directions from the threshold,
        so the query is taken from there as well.
    allow, threads, progress
        As for :meth:`BinaryIndex.search`.

    Returns
    -------
    Neighbors
        Distances under the metric; without `vectors`, negative inner products with +1 and -1.

    Raises
    ------
    DimensionError, ArgumentError, TypeError
        As those that it calls.

    References
    ----------
    Yamada, Asai and Hajishirzi, ACL 2021: the first two stages.
    """
    asked = np.atleast_2d(as_vectors(queries, "queries"))
    if isinstance(threshold, str) and threshold != "zero":
        raise ArgumentError(
            "threshold must be 'zero' or what vicinal.binary.thresholds gave for the rows, "
            f"got {threshold!r}"
        )
    if metric not in ("l2", "ip", "cosine"):
        raise ArgumentError(f"metric must be one of 'l2', 'ip', 'cosine', got {metric!r}")
    k = as_count(k, "k")
    few = max(50, 4 * k) if survivors is None else as_count(survivors, "survivors")
    many = max(200, 20 * k, few) if candidates is None else as_count(candidates, "candidates")
    for name, value in (("survivors", few), ("candidates", many)):
        if value < k:
            raise ArgumentError(f"{name} must be at least k = {k}, got {value}")
    run: dict[str, Any] = {"threads": threads, "progress": progress}
    bits = pack(asked, threshold, **run)
    found = index.search(bits, many, allow=allow, **run)
    numbers = asked
    if metric == "l2" and not isinstance(threshold, str):
        numbers = asked - _as_limits(threshold)
    if vectors is None:
        return index.rescore(numbers, found.ids, k, **run)
    best = index.rescore(numbers, found.ids, few, **run)
    return rerank(asked, vectors, best.ids, k, metric=metric, **run)


def _as_bits(values: npt.ArrayLike, argument: str, dim: int) -> Bits:
    """Make packed bits, of packed bits or of bool."""
    if type(values) is np.ndarray and values.dtype == np.uint8:
        return values
    array = as_array(values, argument)
    if array.dtype == np.uint8:
        return array
    if array.dtype != np.bool_:
        raise TypeError(
            f"{argument} holds {array.dtype}; wanted packed bits as uint8 (numpy.packbits), or bool"
        )
    if array.ndim == 0:
        raise ArgumentError(f"{argument} has 0 dimensions; wanted 2 (one row of bits per row)")
    if array.shape[-1] != dim:
        raise DimensionError(
            f"{argument} has {array.shape[-1]} columns of bool; this index holds rows of {dim} bits"
        )
    return np.packbits(array, axis=-1)


def _as_limits(threshold: npt.ArrayLike) -> Distances:
    limits = np.ascontiguousarray(as_vectors(threshold, "threshold"), dtype=np.float32)
    if limits.ndim != 1:
        raise ArgumentError(f"threshold has {limits.ndim} dimensions; wanted 1: one per column")
    if not np.isfinite(limits).all():
        raise ArgumentError("threshold holds NaN or infinity")
    return limits


def _id_table(ids: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Make int64 rows of candidates without gaps."""
    array = as_array(ids, "ids")
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"ids holds {array.dtype}; wanted integers")
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        raise ArgumentError(f"ids holds {array.max()}; wanted integers below 2**63")
    if array.ndim == 0 or array.ndim > 2:
        raise ArgumentError(f"ids has {array.ndim} dimensions; wanted 2: a row per query")
    return np.require(np.atleast_2d(array), np.int64, ["C", "A"])
