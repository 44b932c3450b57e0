"""Approximate search by looking into the nearest of many lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vicinal._convert import NATIVE, as_allow, as_count, as_vectors
from vicinal._core import IvfIndex as Core
from vicinal._index import VectorIndex, as_queries, transform_core
from vicinal._types import Ids, Metric, Progress
from vicinal.params import Codec, IVFParams, codec_of
from vicinal.results import ListStats, Neighbors

if TYPE_CHECKING:
    from vicinal.transforms import Transform

__all__ = ["IVFIndex"]

_new = tuple.__new__


class IVFIndex(VectorIndex):
    """Inverted lists: vectors lie with the nearest of some centroids, few of which are looked at.

    For many vectors in few bytes: beside its code a vector costs 4 bytes, or 8 with codes of
    residuals under "l2". Large batches of queries are answered together, reading each list once
    for all of them, with the very answers that each query alone would get.

    Any number of searches may run beside one another and beside :meth:`add`, :meth:`remove` and
    :meth:`save`, from any threads.

    Parameters
    ----------
    dim : int
        Numbers per vector, 1 to 32768.
    metric : {"l2", "ip", "cosine"}
        Squared Euclidean distance, negative inner product or 1 - cosine: smaller is nearer.
    codec : Codec or str
        What a search looks at: any but Int8 and Uint8. Smaller is faster and less exact.
    refine : None, "float16", "float32" or "sq8"
        Finer rows kept beside the codes. They re-rank the candidates and undo most of what the
        codec lost, for 2, 4 or 1 bytes per dimension. "sq8" beside codecs smaller than SQ8.
    lists : int, optional
        How many. Chosen from the first vectors unless given: about four times the square root of
        their number n, or n / 32 if that is less.
    residual : bool
        Codes hold what the centroid of the list leaves over of a vector, which is shorter than the
        vector and so lost less of. Codec Float32 keeps vectors exactly only without it.
    soar : bool
        Each vector lies in a second list too, chosen so that a query that misses it in the first
        is likely to find it there. Doubles the codes.
    spill : float
        With `soar`: what a second residual along the first costs, 0 to 1000; kept to a thousandth.
    balance : float
        0: every vector in the list of its nearest centroid. From 1 to 1000: no list takes more
        than so many times the mean number while one of the nearest few has room; kept to a
        thousandth. Searches then take more even times.
    seed : int
        From 0; the only source of randomness.
    transform : Transform, optional
        What stands before the codec, from :mod:`vicinal.transforms`; lists and the refine store
        are of the vectors as they came. Residuals are differences of vectors: its offset is not
        taken from them.

    Raises
    ------
    ArgumentError
        One of them has another value. A ``ValueError``.

    References
    ----------
    Jegou, Douze and Schmid, "Product quantization for nearest neighbor search", IEEE TPAMI 33(1),
    2011 (lists of residuals). Sun et al., "SOAR: improved indexing for approximate nearest
    neighbor search", NeurIPS 2023. Mohoney et al., "High-throughput vector similarity search in
    knowledge graphs", SIGMOD 2023 (batches turned round list by list).

    Examples
    --------
    >>> import numpy as np, vicinal
    >>> vectors = np.random.default_rng(0).standard_normal((2000, 16), dtype=np.float32)
    >>> index = vicinal.IVFIndex(dim=16, refine="float16", lists=40)
    >>> index.add(vectors)
    >>> index.search(vectors[7], k=1, nprobe=4).ids
    array([[7]])
    """

    __slots__ = ("_nprobe",)

    _core: Core
    _nprobe: int

    def __init__(
        self,
        dim: int,
        metric: Metric | str = "l2",
        *,
        codec: Codec | str = "sq8",
        refine: str | None = None,
        lists: int | None = None,
        residual: bool = True,
        soar: bool = False,
        spill: float = 1.0,
        balance: float = 0.0,
        seed: int = 0,
        transform: Transform | None = None,
    ) -> None:
        params = IVFParams(
            codec,  # type: ignore[arg-type]  # it takes names too
            refine,
            residual=residual,
            soar=soar,
        )
        core = Core(
            dim,
            metric,
            params.codec.key(),
            params.refine or "none",
            lists,
            residual,
            soar,
            spill,
            balance,
            seed,
            transform_core(transform),
        )
        self._begin(core)
        self._nprobe = 16

    @classmethod
    def from_params(
        cls,
        dim: int,
        metric: Metric | str,
        params: IVFParams,
        *,
        transform: Transform | None = None,
    ) -> IVFIndex:
        """Make an empty index of given :class:`~vicinal.IVFParams`."""
        return cls(
            dim,
            metric,
            codec=params.codec,
            refine=params.refine,
            lists=params.lists,
            residual=params.residual,
            soar=params.soar,
            spill=params.spill,
            balance=params.balance,
            seed=params.seed,
            transform=transform,
        )

    @property
    def params(self) -> IVFParams:
        """What shapes this index, but for its transform."""
        core = self._core
        return IVFParams(
            codec_of(core.codec),
            core.refine,
            core.lists or None,
            core.residual,
            core.soar,
            round(core.spill, 3),
            round(core.balance, 3),
            core.seed,
        )

    @property
    def nprobe(self) -> int:
        """Lists a search looks into when it is not told, from 1; kept in the file. 16 at first."""
        return self._nprobe

    @nprobe.setter
    def nprobe(self, value: int) -> None:
        self._nprobe = as_count(value, "nprobe")

    @property
    def list_sizes(self) -> Ids:
        """Vectors in each list, int64, shape (lists,); empty before anything was learned.

        Counts both lists of a vector under `soar`, and removed vectors until they are swept out.
        """
        return self._core.list_sizes().astype(np.int64)

    def train(
        self,
        vectors: npt.ArrayLike,
        *,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Learn centroids and codec from vectors like those to come; none is added.

        Not needed: the first :meth:`add` learns from its own vectors. What was learned stays.

        Parameters
        ----------
        vectors : array_like, shape (n, dim)
            At least as many as lists, better 50 for each list; of more, some are taken.
        threads, progress
            As for :meth:`add`.

        Raises
        ------
        DimensionError
            The vectors are not ``dim`` wide. A ``ValueError``, as is the next.
        ArgumentError
            The index has learned already; there are too few vectors; as for :meth:`add`.
        TypeError
            The vectors are not numbers of such types.
        """
        array = as_vectors(vectors, "vectors")
        self._source = None
        self._core.train(array, threads, progress)

    def search(
        self,
        queries: npt.ArrayLike,
        k: int = 10,
        *,
        nprobe: int | None = None,
        candidates: int | None = None,
        cut: float | None = None,
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
        nprobe : int, optional
            Lists to look into, :attr:`nprobe` unless given. More finds more, in about as much
            more time. Where they hold fewer than k answers, more are looked into.
        candidates : int, optional
            Vectors compared with the refine store, at least k. Unless given chosen from k and the
            codec, ending sooner where, by the errors of the codes seen so far, no other is likely
            to be among the k nearest. Without a refine store it has no effect.
        cut : float, optional
            Leaves out lists whose centroid is farther than 1 + cut times the nearest one: squared
            distances under "l2", 1 minus the inner product under "cosine". Not for "ip".
        allow : array_like of bool or of int, optional
            Which vectors may be found: a mask (id ``i`` if ``allow[i]``; ids beyond its end not),
            or the ids themselves, in any order. Lists that hold none of them do not count as
            looked into.
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
            k, nprobe, candidates, cut or threads is out of range; a query holds NaN or infinity,
            or under cosine only zeros.
        TypeError
            An argument is of the wrong kind.
        """
        if type(queries) is not np.ndarray or queries.dtype not in NATIVE:
            queries = as_vectors(queries, "queries")
        if allow is not None:
            allow = as_allow(allow)
        if nprobe is None:
            nprobe = self._nprobe
        found = self._core.search(queries, k, nprobe, candidates, cut, allow, threads, progress)
        return _new(Neighbors, found)

    def search_stats(
        self,
        queries: npt.ArrayLike,
        k: int = 10,
        *,
        nprobe: int | None = None,
        candidates: int | None = None,
        cut: float | None = None,
        allow: npt.ArrayLike | None = None,
        threads: int | None = None,
    ) -> ListStats:
        """Count what :meth:`search` with the same arguments does.

        Parameters
        ----------
        queries, k, nprobe, candidates, cut, allow, threads
            As for :meth:`search`.

        Returns
        -------
        ListStats
            Sums over the queries.

        Raises
        ------
        DimensionError, ArgumentError, TypeError
            As for :meth:`search`.
        """
        array = as_queries(queries)
        only = None if allow is None else as_allow(allow)
        probes = self._nprobe if nprobe is None else nprobe
        found = self._core.search_stats(array, k, probes, candidates, cut, only, threads)
        return ListStats(*found)

    def _settings(self) -> dict[str, Any]:
        return {**super()._settings(), "nprobe": self._nprobe}

    def _restore(self, settings: dict[str, Any]) -> None:
        super()._restore(settings)
        self.nprobe = settings.get("nprobe", 16)

    def __repr__(self) -> str:
        core = self._core
        refine = "" if core.refine == "none" else f" refined by {core.refine}"
        soar = ", soar" if core.soar else ""
        return (
            f"<vicinal.IVFIndex of {len(self):,} vectors: dim {self.dim}, {self.metric}, "
            f"{self._stored_as()}{refine}, {len(core.list_sizes())} lists{soar}, "
            f"nprobe {self._nprobe}>"
        )
