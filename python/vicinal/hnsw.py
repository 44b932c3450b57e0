"""Approximate search by walking a graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vicinal._convert import NATIVE, as_allow, as_count, as_vectors
from vicinal._core import HnswIndex as Core
from vicinal._index import Index, as_queries
from vicinal._types import Metric, Progress
from vicinal.params import Codec, HNSWParams, codec_of
from vicinal.results import Neighbors, SearchStats

__all__ = ["HNSWIndex"]

_new = tuple.__new__


class HNSWIndex(Index):
    """Navigable small-world graph: compares a few vectors to find nearly all that matter.

    The graph is the same for any number of threads. Any number of searches may run beside one
    another and beside :meth:`add`, :meth:`remove` and :meth:`save`, from any threads.

    Parameters
    ----------
    dim : int
        Numbers per vector, 1 to 32768.
    metric : {"l2", "ip", "cosine"}
        Squared Euclidean distance, negative inner product or 1 - cosine: smaller is nearer.
    codec : Codec or str
        What the walk looks at: Float32, Float16, SQ8 or SQ4. Smaller is faster and less exact.
    refine : None, "float16" or "float32"
        Finer rows kept beside the codes. They re-rank the last candidates and undo most of what
        the codec lost, for 2 or 4 bytes per dimension.
    links : int
        Edges per node above the base layer, 2 to 512; twice that on it. More finds more, and
        costs memory and time.
    build_ef : int
        Effort: candidates weighed for the links of a vector. More makes a better graph, more
        slowly.
    seed : int
        From 0; the only source of randomness.
    builder : {"auto", "batch", "insert"}
        How the first vectors of an empty index, and those of :meth:`compact`, are linked: all at
        once, or one by one as later ones always are. "auto" links at once where that is quicker:
        4096 vectors or more, codec SQ8 or SQ4, metric "l2" or "cosine", and no more than one in a
        hundred equal to many others. While vectors are linked at once they take up to
        ``4 * build_ef + 12 * links + 200`` bytes each beside the index (and a thread about 20 MB),
        and an :meth:`add` that is stopped leaves the index empty.

    Raises
    ------
    ArgumentError
        One of them has another value. A ``ValueError``.

    References
    ----------
    Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using
    hierarchical navigable small world graphs", IEEE TPAMI 42(4), 2020.

    Examples
    --------
    >>> import numpy as np, vicinal
    >>> index = vicinal.HNSWIndex(dim=8, codec=vicinal.SQ8(), refine="float16")
    >>> index.add(np.eye(8, dtype=np.float32), ids=range(100, 108))
    >>> index.search(np.eye(8)[3], k=1).ids
    array([[103]])
    """

    __slots__ = ("_ef",)

    _core: Core
    _ef: int

    def __init__(
        self,
        dim: int,
        metric: Metric | str = "l2",
        *,
        codec: Codec | str = "float32",
        refine: str | None = None,
        links: int = 16,
        build_ef: int = 200,
        seed: int = 0,
        builder: str = "auto",
    ) -> None:
        params = HNSWParams(codec, refine)  # type: ignore[arg-type]  # it takes names too
        name = params.refine or "none"
        core = Core(dim, metric, params.codec.key(), name, links, build_ef, seed, builder)
        self._begin(core)
        self._ef = 64

    @classmethod
    def from_params(cls, dim: int, metric: Metric | str, params: HNSWParams) -> HNSWIndex:
        """Make an empty index of given :class:`~vicinal.HNSWParams`."""
        return cls(
            dim,
            metric,
            codec=params.codec,
            refine=params.refine,
            links=params.links,
            build_ef=params.build_ef,
            seed=params.seed,
            builder=params.builder,
        )

    @property
    def params(self) -> HNSWParams:
        """What shapes this index."""
        core = self._core
        return HNSWParams.from_dict(
            {
                "codec": codec_of(core.codec),
                "refine": core.refine,
                "links": core.links,
                "build_ef": core.build_ef,
                "seed": core.seed,
                "builder": core.builder,
            }
        )

    @property
    def ef(self) -> int:
        """Candidates a search keeps when it is not told, from 1; kept in the file.

        64 at first; :func:`vicinal.build` sets what reached the recall asked for.
        """
        return self._ef

    @ef.setter
    def ef(self, value: int) -> None:
        self._ef = as_count(value, "ef")

    @property
    def removed(self) -> int:
        """Vectors removed but still walked through, until :meth:`compact`."""
        return self._core.removed()

    def search(
        self,
        queries: npt.ArrayLike,
        k: int = 10,
        *,
        ef: int | None = None,
        rerank: int | None = None,
        allow: npt.ArrayLike | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> Neighbors:
        """Find the approximate nearest vectors of each query.

        Parameters
        ----------
        queries : array_like, shape (q, dim) or (dim,)
            As the vectors of :meth:`add`; a single vector counts as q = 1.
        k : int
            Neighbours per query, from 1. There may be fewer vectors than that.
        ef : int, optional
            Candidates kept per query, :attr:`ef` unless given; at least k are always kept. More
            finds more, in about as much more time.
        rerank : int, optional
            Candidates compared with the refine store; chosen from k and ef unless given. Without
            a refine store it has no effect.
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
            id. Missing places hold -1 and inf. Distances are those of the refine store, or of the
            codes if there is none.

        Raises
        ------
        DimensionError
            The queries are not ``dim`` wide. A ``ValueError``, as is the next.
        ArgumentError
            k, ef, rerank or threads is out of range; a query holds NaN or infinity, or under
            cosine only zeros.
        TypeError
            An argument is of the wrong kind.

        References
        ----------
        Malkov and Yashunin, IEEE TPAMI 42(4), 2020, algorithms 2 and 5.
        """
        if type(queries) is not np.ndarray or queries.dtype not in NATIVE:
            queries = as_vectors(queries, "queries")
        if allow is not None:
            allow = as_allow(allow)
        if ef is None:
            ef = self._ef
        found = self._core.search(queries, k, ef, rerank, allow, threads, progress)
        return _new(Neighbors, found)

    def search_stats(
        self,
        queries: npt.ArrayLike,
        k: int = 10,
        *,
        ef: int | None = None,
        rerank: int | None = None,
        allow: npt.ArrayLike | None = None,
        threads: int | None = None,
    ) -> SearchStats:
        """Count what :meth:`search` with the same arguments does.

        Parameters
        ----------
        queries, k, ef, rerank, allow, threads
            As for :meth:`search`.

        Returns
        -------
        SearchStats
            Sums over the queries.

        Raises
        ------
        DimensionError, ArgumentError, TypeError
            As for :meth:`search`.
        """
        array = as_queries(queries)
        only = None if allow is None else as_allow(allow)
        keep = self._ef if ef is None else ef
        return SearchStats(*self._core.search_stats(array, k, keep, rerank, only, threads))

    def compact(self, *, threads: int | None = None, progress: Progress | None = None) -> None:
        """Build the graph again without the removed vectors and give their memory back.

        Parameters
        ----------
        threads, progress
            As for :meth:`add`.
        """
        self._source = None
        self._core.compact(threads, progress)

    def reorder(self, *, threads: int | None = None, progress: Progress | None = None) -> None:
        """Lay neighbours near one another in memory: searches get faster, answers stay the same.

        Worth it once after a large :meth:`add`, for sets far larger than the processor's cache.

        Parameters
        ----------
        threads, progress
            As for :meth:`add`.
        """
        self._source = None
        self._core.reorder(threads, progress)

    def _settings(self) -> dict[str, Any]:
        return {**super()._settings(), "ef": self._ef}

    def _restore(self, settings: dict[str, Any]) -> None:
        super()._restore(settings)
        self.ef = settings.get("ef", 64)

    def __repr__(self) -> str:
        core = self._core
        refine = "" if core.refine == "none" else f" refined by {core.refine}"
        return (
            f"<vicinal.HNSWIndex of {len(self):,} vectors: dim {self.dim}, {self.metric}, "
            f"{codec_of(core.codec)}{refine}, {core.links} links, ef {self._ef}>"
        )
