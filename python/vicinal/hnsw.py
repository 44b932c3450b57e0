"""Approximate search by walking a graph."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vicinal._convert import NATIVE, as_allow, as_count, as_seed, as_vectors
from vicinal._core import HnswIndex as Core
from vicinal._index import VectorIndex, as_queries, transform_core
from vicinal._judge import LARGEST_EF, SAMPLE, Judge, Rows, StoredRows, halves, measure
from vicinal._types import Array, Ids, Metric, Progress
from vicinal.calibration import Calibration, Effort, as_neighbours, as_share, as_slack
from vicinal.errors import ArgumentError, DimensionError, RecallWarning
from vicinal.flat import FlatIndex
from vicinal.params import Codec, HNSWParams, codec_of
from vicinal.results import Neighbors, SearchStats

if TYPE_CHECKING:
    from vicinal.transforms import Transform

__all__ = ["HNSWIndex"]

_new = tuple.__new__


class HNSWIndex(VectorIndex):
    """Navigable small-world graph: compares a few vectors to find nearly all that matter.

    The graph is the same for any number of threads. Any number of searches may run beside one
    another and beside :meth:`add`, :meth:`remove` and :meth:`save`, from any threads.

    Parameters
    ----------
    dim : int
        Numbers per vector, 1 to 32768.
    metric : {"l2", "ip", "cosine"}
        Squared Euclidean distance, negative inner product or 1 - cosine: smaller is nearer. "ip" is
        for vectors whose lengths count; of unit vectors "cosine" gives the same order, sooner.
    codec : Codec or str
        What the walk looks at: any but Int8 and Uint8. Smaller is faster and less exact.
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
    transform : Transform, optional
        What stands before the codec, from :mod:`vicinal.transforms`; the refine store keeps the
        vectors as they came. One that keeps fewer dimensions makes a walk read less, where vectors
        have dimensions that matter little.

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

    __slots__ = ("_calibration", "_ef", "_slack")

    _core: Core
    _calibration: Calibration | None
    _ef: int
    _slack: float | None

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
        transform: Transform | None = None,
    ) -> None:
        params = HNSWParams(codec, refine)  # type: ignore[arg-type]  # it takes names too
        name = params.refine or "none"
        before = transform_core(transform)
        core = Core(dim, metric, params.codec.key(), name, links, build_ef, seed, builder, before)
        self._begin(core)
        self._calibration = None
        self._ef = 64
        self._slack = None

    @classmethod
    def from_params(
        cls,
        dim: int,
        metric: Metric | str,
        params: HNSWParams,
        *,
        transform: Transform | None = None,
    ) -> HNSWIndex:
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
            transform=transform,
        )

    @property
    def params(self) -> HNSWParams:
        """What shapes this index, but for its transform."""
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
    def slack(self) -> float | None:
        """The slack of a search that is told neither `ef` nor `slack`; kept in the file.

        None at first; :func:`vicinal.build` sets what reached the recall asked for.
        """
        return self._slack

    @slack.setter
    def slack(self, value: float | None) -> None:
        if value is not None and self.metric == "ip":
            raise ArgumentError("slack must be None: inner products have no distances to compare")
        self._slack = None if value is None else as_slack(value)

    @property
    def calibration(self) -> Calibration | None:
        """How much recall each ef gives, as :meth:`calibrate` or :func:`vicinal.build` measured it.

        None if nobody did. Kept in the file.
        """
        return self._calibration

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
        slack: float | None = None,
        recall: float | None = None,
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
        slack : float, optional
            Ends the search for a query sooner, where it is easy: once every candidate left is more
            than (1 + slack) times as far as the k-th nearest found. From 0 to 1000; 0.02 to 0.15 is
            usual. 1.6 times the ef and some slack find as much as ef alone in less time.
            :attr:`slack` if neither `ef` nor `slack` is given. Not for inner products; no effect
            where vectors are removed or not allowed.
        recall : float, optional
            Instead of `ef` and `slack`: the least of both that found this share of the true
            neighbours when the index was calibrated, that is without `allow`. See
            :meth:`calibrate`.
        rerank : int, optional
            Candidates compared with the refine store. Unless given up to `ef`, ending sooner where,
            by the errors of the codes seen so far, no other is likely to be among the k nearest.
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
            k, ef, slack, rerank or threads is out of range; a query holds NaN or infinity, or under
            cosine only zeros; `slack` is given and the metric is "ip". `recall` is given beside
            `ef` or `slack`; or the index is not calibrated for this k and recall.
        TypeError
            An argument is of the wrong kind.

        Warns
        -----
        RecallWarning
            With `recall`: the index has become a fifth larger or smaller since it was calibrated.

        References
        ----------
        Malkov and Yashunin, IEEE TPAMI 42(4), 2020, algorithms 2 and 5. Slack: Al-Jazzazi, Diwan,
        Gou, Musco, Musco and Suel, "Distance Adaptive Beam Search for Provably Accurate Graph-Based
        Nearest Neighbor Search", NeurIPS 2025, here with ef as a bound.
        """
        if type(queries) is not np.ndarray or queries.dtype not in NATIVE:
            queries = as_vectors(queries, "queries")
        if allow is not None:
            allow = as_allow(allow)
        if recall is not None:
            ef, slack = self._effort(k, recall, ef, slack)
        elif ef is None:
            ef = self._ef
            if slack is None:
                slack = self._slack
        found = self._core.search(queries, k, ef, slack, rerank, allow, None, threads, progress)
        return _new(Neighbors, found)

    def search_stats(
        self,
        queries: npt.ArrayLike,
        k: int = 10,
        *,
        ef: int | None = None,
        slack: float | None = None,
        recall: float | None = None,
        rerank: int | None = None,
        allow: npt.ArrayLike | None = None,
        threads: int | None = None,
    ) -> SearchStats:
        """Count what :meth:`search` with the same arguments does.

        Parameters
        ----------
        queries, k, ef, slack, recall, rerank, allow, threads
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
        if recall is not None:
            ef, slack = self._effort(k, recall, ef, slack)
        elif ef is None:
            ef = self._ef
            slack = self._slack if slack is None else slack
        return SearchStats(*self._core.search_stats(array, k, ef, slack, rerank, only, threads))

    def calibrate(
        self,
        queries: npt.ArrayLike | None = None,
        *,
        k: int | Sequence[int] = 10,
        recall: float = 0.99,
        vectors: npt.ArrayLike | None = None,
        seed: int = 0,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> Calibration:
        """Measure how much recall each effort gives, so that a search can ask for recall instead.

        The true neighbours are found by exact search among the `vectors`, or without these among
        the vectors as the index keeps them. Larger and larger ``ef`` are then tried, each with the
        slack that goes with it, on up to 2000 queries: one half of them chooses the effort of a
        recall, the other half only checks it. What was measured before is replaced. The index must
        not be changed meanwhile.

        Parameters
        ----------
        queries : array_like, shape (q, dim), optional
            Queries like those to come, at least 2; with some hundred, a recall is sure to about a
            point. Without them vectors of the index are looked for, each as if it had not been
            added: these may be easier to find than queries of another kind, questions against
            texts, say.
        k : int or sequence of int
            Neighbours per query, up to 4096. A search for fewer than calibrated counts as one for
            as many.
        recall : float
            Measure up to this recall, above 0 and below 1.
        vectors : array_like, shape (len(index), dim), optional
            The vectors that were added: row i that of ``index.ids[i]``. Worth giving where there is
            no refine store: what the codes lost of the vectors counts then, too.
        seed : int
            From 0: which queries are drawn.
        threads, progress
            As for :meth:`add`.

        Returns
        -------
        Calibration
            Also kept as :attr:`calibration`, and in the file. It depends on the index, the queries
            and the seed alone.

        Raises
        ------
        DimensionError, ArgumentError, TypeError
            As :meth:`search`; also if there are fewer than 2 queries or vectors. Nothing has
            changed.

        Examples
        --------
        >>> import numpy as np, vicinal
        >>> rows = np.random.default_rng(0).standard_normal((3000, 16), dtype=np.float32)
        >>> index = vicinal.HNSWIndex(dim=16)
        >>> index.add(rows)
        >>> calibration = index.calibrate(k=10)
        >>> hits = index.search(rows[:5] + 0.1, k=10, recall=0.95)
        """
        ks = as_neighbours(k)
        if ks[-1] > LARGEST_EF:
            raise ArgumentError(f"k is {ks[-1]}; calibrating goes up to {LARGEST_EF} neighbours")
        share = as_share(recall)
        if share == 1:
            raise ArgumentError("recall must be below 1: only exact search promises that")
        seed = as_seed(seed)
        given = None if queries is None else as_vectors(queries, "queries")
        if given is not None and given.ndim != 2:
            raise ArgumentError(f"queries has {given.ndim} dimensions; wanted 2, one per row")
        if given is not None and given.shape[1] != self.dim:
            raise DimensionError(f"queries has {given.shape[1]} columns; wanted {self.dim}")
        names = self.ids
        if len(names) < 2:
            raise ArgumentError(f"the index has {len(names)} vectors; calibrating wants 2 or more")
        if given is not None and len(given) < 2:
            raise ArgumentError(f"queries has {len(given)} rows; wanted at least 2")
        if given is not None:  # a bad one is named by its row here, not by that in a sample
            FlatIndex(self.dim, self.metric).search(given, 1, threads=threads)
        rows: Rows = StoredRows(self._core.get, names, self.dim)
        if vectors is not None:
            rows = as_vectors(vectors, "vectors")
            if rows.shape != (len(names), self.dim):
                raise DimensionError(
                    f"vectors has shape {rows.shape}; wanted {(len(names), self.dim)}"
                )
        samples = halves(rows, given, seed, SAMPLE)
        judge = Judge(rows, names, self.metric, ks[-1], samples, threads=threads, progress=progress)
        self._calibration = Calibration(
            rows=len(names),
            queries=sum(len(sample.own) for sample in samples),
            source="rows" if given is None else "queries",
            curves=measure(judge, self, ks, share, share),
        )
        return self._calibration

    def _find_without(
        self, queries: Array, k: int, effort: Effort, without: Ids | None, threads: int | None
    ) -> Ids:
        """Search as if the vector of one id per query had not been added."""
        ef, slack = effort
        found = self._core.search(queries, k, ef, slack, None, None, without, threads, None)
        return found[0]

    def _effort(self, k: int, recall: float, ef: int | None, slack: float | None) -> Effort:
        if ef is not None or slack is not None:
            name = "ef" if slack is None else "slack"
            raise ArgumentError(f"{name} and recall are both given; wanted one of them")
        known = self._calibration
        if known is None:
            raise ArgumentError(
                "recall is given, but this index is not calibrated: call calibrate() first, or "
                "make the index by vicinal.build()"
            )
        now = len(self)
        if not 0.8 * known.rows <= now <= 1.2 * known.rows:
            warnings.warn(
                f"calibrated with {known.rows:,} vectors, there are {now:,} now: the recall may be "
                "another; call calibrate() again",
                RecallWarning,
                stacklevel=3,
            )
        return known.effort(k, recall)

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
        """Lay neighbours near one another in memory: searches get faster.

        Answers stay the same, except that where distances of codes tie a walk may go another way.
        Worth it once after a large :meth:`add`, for sets far larger than the processor's cache.

        Parameters
        ----------
        threads, progress
            As for :meth:`add`.
        """
        self._source = None
        self._core.reorder(threads, progress)

    def _settings(self) -> dict[str, Any]:
        settings = {**super()._settings(), "ef": self._ef}
        if self._slack is not None:
            settings["slack"] = self._slack
        if self._calibration is not None:
            settings["calibration"] = self._calibration.to_dict()
        return settings

    def _restore(self, settings: dict[str, Any]) -> None:
        super()._restore(settings)
        self.ef = settings.get("ef", 64)
        self.slack = settings.get("slack")
        known = settings.get("calibration")
        self._calibration = None if known is None else Calibration.from_dict(known)

    def __repr__(self) -> str:
        core = self._core
        refine = "" if core.refine == "none" else f" refined by {core.refine}"
        return (
            f"<vicinal.HNSWIndex of {len(self):,} vectors: dim {self.dim}, {self.metric}, "
            f"{self._stored_as()}{refine}, {core.links} links, ef {self._ef}>"
        )
