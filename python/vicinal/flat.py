"""Exact search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vicinal._convert import NATIVE, as_allow, as_vectors
from vicinal._core import FlatIndex as Core
from vicinal._index import VectorIndex, as_queries, transform_core
from vicinal._types import Metric, Progress
from vicinal.calibration import as_share
from vicinal.params import Codec, FlatParams, codec_of
from vicinal.results import Neighbors, RangeResult

if TYPE_CHECKING:
    from vicinal.transforms import Transform

__all__ = ["FlatIndex"]

_new = tuple.__new__


class FlatIndex(VectorIndex):
    """Compares every vector with every query: exact, and quick for small sets and large batches.

    Exact over what is stored: with Float16 or SQ8 the distances are those of the rounded vectors.
    Any number of searches may run beside one another and beside :meth:`add`, :meth:`remove` and
    :meth:`save`, from any threads.

    Parameters
    ----------
    dim : int
        Numbers per vector, 1 to 32768.
    metric : {"l2", "ip", "cosine"}
        Squared Euclidean distance, negative inner product or 1 - cosine: smaller is nearer.
    codec : Codec or str
        Any.
    transform : Transform, optional
        What stands before the codec, from :mod:`vicinal.transforms`. Where it drops dimensions
        distances are estimates.

    Raises
    ------
    ArgumentError
        One of them has another value. A ``ValueError``.

    Examples
    --------
    >>> import numpy as np, vicinal
    >>> index = vicinal.FlatIndex(dim=2)
    >>> index.add([[0, 0], [3, 4]])
    >>> index.search([3, 3], k=1).ids
    array([[1]])
    """

    __slots__ = ()

    _core: Core

    def __init__(
        self,
        dim: int,
        metric: Metric | str = "l2",
        *,
        codec: Codec | str = "float32",
        transform: Transform | None = None,
    ) -> None:
        params = FlatParams(codec)  # type: ignore[arg-type]  # it takes names too
        self._begin(Core(dim, metric, params.codec.key(), transform_core(transform)))

    @classmethod
    def from_params(
        cls,
        dim: int,
        metric: Metric | str,
        params: FlatParams,
        *,
        transform: Transform | None = None,
    ) -> FlatIndex:
        """Make an empty index of given :class:`~vicinal.FlatParams`."""
        return cls(dim, metric, codec=params.codec, transform=transform)

    @property
    def params(self) -> FlatParams:
        """What shapes this index, but for its transform."""
        return FlatParams(codec_of(self._core.codec))

    def search(
        self,
        queries: npt.ArrayLike,
        k: int = 10,
        *,
        recall: float | None = None,
        allow: npt.ArrayLike | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> Neighbors:
        """Find the nearest vectors of each query.

        Parameters
        ----------
        queries : array_like, shape (q, dim) or (dim,)
            As the vectors of :meth:`add`; a single vector counts as q = 1.
        k : int
            Neighbours per query, from 1. There may be fewer vectors than that.
        recall : float, optional
            No effect, since every vector is looked at; taken so that whatever
            :func:`vicinal.build` made can be asked alike.
        allow : array_like of bool or of int, optional
            Which vectors may be found: a mask (id ``i`` if ``allow[i]``; ids beyond its end not),
            or the ids themselves, in any order.
        threads : int, optional
            How many to use, 1 to 1024. The result does not depend on it.
        progress : callable, optional
            As for :meth:`add`; counts queries.

        Returns
        -------
        Neighbors
            ``ids`` int64 and ``distances`` float32, both (q, k), nearest first, ties by smaller
            id. Missing places hold -1 and inf.

        Raises
        ------
        DimensionError
            The queries are not ``dim`` wide. A ``ValueError``, as is the next.
        ArgumentError
            k or threads is out of range; a query holds NaN or infinity, or under cosine only zeros.
        TypeError
            An argument is of the wrong kind.
        """
        if type(queries) is not np.ndarray or queries.dtype not in NATIVE:
            queries = as_vectors(queries, "queries")
        if allow is not None:
            allow = as_allow(allow)
        if recall is not None:
            as_share(recall)
        return _new(Neighbors, self._core.search(queries, k, allow, threads, progress))

    def range_search(
        self,
        queries: npt.ArrayLike,
        radius: float,
        *,
        allow: npt.ArrayLike | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> RangeResult:
        """Find every vector whose distance is at most `radius`.

        Parameters
        ----------
        queries : array_like, shape (q, dim) or (dim,)
        radius : float
            In the unit of the distances: squared for "l2", negative inner product for "ip".
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
        array = as_queries(queries)
        only = None if allow is None else as_allow(allow)
        offsets, ids, distances = self._core.range_search(array, radius, only, threads, progress)
        return RangeResult(offsets.view(np.int64), ids, distances)

    def __repr__(self) -> str:
        return (
            f"<vicinal.FlatIndex of {len(self):,} vectors: dim {self.dim}, {self.metric}, "
            f"{self._stored_as()}, exact>"
        )
