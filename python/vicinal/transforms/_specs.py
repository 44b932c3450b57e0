"""How to learn a transform: small frozen values that print, compare and turn into TOML."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from vicinal._convert import as_count, as_id, as_seed
from vicinal._types import Array, Metric
from vicinal.errors import ArgumentError
from vicinal.transforms._moments import (
    Wide,
    as_rows,
    blocks,
    eigen,
    moments,
    raised,
    roots,
    sample,
)
from vicinal.transforms._transform import METRICS, Transform

__all__ = ["OPQ", "PCA", "LeanVec", "QueryWhitening", "RandomRotation", "TransformSpec"]

#: Vectors that OPQ learns from. Each of its rounds trains a product quantizer on them.
OPQ_ROWS = 20_000


@dataclass(frozen=True)
class TransformSpec:
    """How a transform is learned; use one of the classes below it."""

    name: ClassVar[str] = ""

    def fit(
        self,
        vectors: npt.ArrayLike,
        queries: npt.ArrayLike | None = None,
        *,
        metric: Metric | str,
        seed: int = 0,
        threads: int | None = None,
    ) -> Transform:
        """Learn a transform.

        Parameters
        ----------
        vectors : array_like, shape (n, dim)
            What will be stored, or a sample of it. Up to 100,000 rows are looked at, block by
            block.
        queries : array_like, shape (q, dim), optional
            A sample like the queries that will come. Needed by :class:`QueryWhitening` and
            :class:`LeanVec`; the others ignore it.
        metric : {"l2", "ip", "cosine"}
            What will be measured. Under "cosine" samples are scaled to length 1 first.
        seed : int
            Which rows are looked at, if there are more.
        threads : int, optional
            How many to use, 1 to 1024, apart from numpy's own. The result does not depend on it.

        Returns
        -------
        Transform

        Raises
        ------
        DimensionError
            The queries are not as wide as the vectors. A ``ValueError``, as is the next.
        ArgumentError
            Too few rows, NaN, infinity, under "cosine" a row of zeros; a metric that this kind of
            transform cannot keep.
        """
        if metric not in METRICS:
            raise ArgumentError(
                f"metric must be one of {', '.join(map(repr, METRICS))}, got {metric!r}"
            )
        rows = as_rows(vectors, "vectors")
        asked = None if queries is None else as_rows(queries, "queries", rows.shape[1])
        return self._fit(rows, asked, str(metric), as_seed(seed), threads)

    def _fit(
        self, vectors: Array, queries: Array | None, metric: str, seed: int, threads: int | None
    ) -> Transform:
        raise TypeError(f"{type(self).__name__} learns nothing; use PCA() or another below it")

    def _refuse_l2(self, metric: str) -> None:
        if metric == "l2":
            raise ArgumentError(
                f"{self} changes l2 distances; wanted metric 'ip' or 'cosine', whose inner "
                "products it keeps"
            )

    def _wanted(self, queries: Array | None) -> Array:
        if queries is None:
            raise ArgumentError(f"{self} learns from queries; got None")
        return queries


def _number(value: object, argument: str, least: float, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{argument} must be a number, got {type(value).__name__} {value!r}")
    if not least <= float(value) <= most:
        raise ArgumentError(f"{argument} must be from {least:g} to {most:g}, got {value}")


def _out_dim(dim: int | None, width: int) -> int:
    if dim is None:
        return width
    if dim > width:
        raise ArgumentError(f"dim is {dim}; vectors has {width} columns")
    return dim


@dataclass(frozen=True)
class RandomRotation(TransformSpec):
    """Turns vectors at random, so that no dimension matters more than another. Exact.

    Codes of few bits per dimension lose less when all dimensions have the same spread.

    Parameters
    ----------
    seed : int
        Decides the rotation alone.
    kind : {"fast", "dense"}
        "fast": rounds of random signs, Hadamard transforms and Givens rotations, in time
        dim log dim and memory dim, for any dimension. "dense": a uniformly random orthogonal
        matrix, dim^2 of both.

    References
    ----------
    Ailon and Chazelle, "Approximate nearest neighbors and the fast Johnson-Lindenstrauss
    transform", STOC 2006. Mezzadri, "How to generate random matrices from the classical compact
    groups", Notices of the AMS 54(5), 2007.
    """

    name: ClassVar[str] = "rotation"

    seed: int = 0
    kind: str = "fast"

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", as_seed(self.seed))
        if self.kind not in ("fast", "dense"):
            raise ArgumentError(f"kind must be 'fast' or 'dense', got {self.kind!r}")

    def _fit(
        self, vectors: Array, queries: Array | None, metric: str, seed: int, threads: int | None
    ) -> Transform:
        dim = vectors.shape[1]
        if self.kind == "fast":
            return Transform.rotation(dim, self.seed)
        normal = np.random.default_rng(self.seed).standard_normal((dim, dim))
        q, r = np.linalg.qr(normal)
        # QR is unique up to signs; with these the result is uniformly distributed.
        return Transform((q * np.where(np.diagonal(r) < 0, -1.0, 1.0)).T)


@dataclass(frozen=True)
class PCA(TransformSpec):
    """Keeps the directions along which the vectors spread most. Approximate if some are dropped.

    Parameters
    ----------
    dim : int, optional
        How many to keep; all of them without it.
    whiten : bool
        Scale each to the same spread, and queries the other way round: "ip" and "cosine" only.

    References
    ----------
    Jolliffe, "Principal Component Analysis", Springer, 2002.
    """

    name: ClassVar[str] = "pca"

    dim: int | None = None
    whiten: bool = False

    def __post_init__(self) -> None:
        if self.dim is not None:
            object.__setattr__(self, "dim", as_count(self.dim, "dim"))
        if not isinstance(self.whiten, bool):
            raise TypeError(f"whiten must be a bool, got {type(self.whiten).__name__}")

    def _fit(
        self, vectors: Array, queries: Array | None, metric: str, seed: int, threads: int | None
    ) -> Transform:
        if self.whiten:
            self._refuse_l2(metric)
        out = _out_dim(self.dim, vectors.shape[1])
        found = moments(vectors, "vectors", unit=metric == "cosine", seed=seed)
        values, rows = eigen(found.covariance)
        if not self.whiten:
            return Transform(rows[:out], None, found.mean)
        if values[0] <= 0:
            raise ArgumentError("vectors are all the same; whitening has nothing to scale by")
        spread = np.sqrt(raised(values, 0.0))[:out, None]
        return Transform(rows[:out] / spread, rows[:out] * spread, found.mean)


@dataclass(frozen=True)
class OPQ(TransformSpec):
    """Turns vectors so that a product quantizer of given shape loses least.

    Starts from the principal directions, shared out so that every part has the same product of
    variances; then trains the quantizer and turns the vectors towards what it makes of them, in
    turns.

    Parameters
    ----------
    parts, bits : int
        Of the product quantizer that will stand behind it.
    dim : int, optional
        Dimensions to keep, at least `parts`; the others are dropped as by :class:`PCA`.
    iterations : int
        Rounds of training and turning; 0 leaves it at the start.

    References
    ----------
    Ge, He, Ke and Sun, "Optimized product quantization for approximate nearest neighbor search",
    CVPR 2013, sections 3.1 and 3.2.
    """

    name: ClassVar[str] = "opq"

    parts: int
    bits: int = 8
    dim: int | None = None
    iterations: int = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", as_count(self.parts, "parts"))
        object.__setattr__(self, "bits", as_count(self.bits, "bits"))
        if self.dim is not None:
            object.__setattr__(self, "dim", as_count(self.dim, "dim"))
        object.__setattr__(self, "iterations", as_id(self.iterations, "iterations"))

    def _fit(
        self, vectors: Array, queries: Array | None, metric: str, seed: int, threads: int | None
    ) -> Transform:
        out = _out_dim(self.dim, vectors.shape[1])
        _check_parts(self.parts, out)
        unit = metric == "cosine"
        found = moments(vectors, "vectors", unit=unit, seed=seed)
        values, rows = eigen(found.covariance)
        kept = rows[:out]
        turn = np.eye(out)[_shared_out(values[:out], self.parts)]
        if self.iterations:
            chosen = sample(vectors, OPQ_ROWS, seed)
            parts = [
                (block - found.mean) @ kept.T for block in blocks(vectors, "vectors", chosen, unit)
            ]
            turn = _turned(np.concatenate(parts), turn, self, threads)
        # A quantizer learns a mean by itself: where nothing is dropped, no offset is needed.
        offset = found.mean if out < vectors.shape[1] else None
        return Transform(turn @ kept, None, offset)


def _check_parts(parts: int | None, dim: int) -> None:
    if parts is not None and parts > dim:
        raise ArgumentError(f"parts is {parts}; there are {dim} dimensions to share out")


def _shared_out(variances: Wide, parts: int) -> npt.NDArray[np.int64]:
    """Order directions so that consecutive equal parts have about the same product of variances.

    Greedily, the largest first, to the part with the smallest product that has room.
    """
    floor = max(float(variances[0]), 1e-300) * 1e-10
    logs = np.log(np.maximum(variances, floor))
    logs -= logs.min()  # so that a product never shrinks as it grows
    # As a product quantizer cuts vectors: the first parts are one wider where it does not work out.
    room = [len(part) for part in np.array_split(np.arange(len(variances)), parts)]
    chosen: list[list[int]] = [[] for _ in range(parts)]
    sums = np.zeros(parts)
    for direction, log in enumerate(logs):
        part = int(np.argmin(sums))
        chosen[part].append(direction)
        sums[part] += log
        if len(chosen[part]) == room[part]:
            sums[part] = np.inf
    return np.array([direction for part in chosen for direction in part], np.int64)


def _turned(rows: Wide, turn: Wide, spec: OPQ, threads: int | None) -> Wide:
    """Train and turn alternately; `turn` is orthogonal and stays so. Returns the best there was."""
    from vicinal.codecs import PQ

    best, least = turn, np.inf  # each training finds another optimum, now and then a worse one
    for _ in range(spec.iterations):
        turned = (rows @ turn.T).astype(np.float32)
        codec = PQ(parts=spec.parts, bits=spec.bits).train(turned, threads=threads)
        coded = codec.decode(codec.encode(turned, threads=threads), threads=threads)
        error = float(((coded - turned) ** 2).sum(dtype=np.float64))
        if error < least:
            best, least = turn, error
        # Orthogonal Procrustes: Schoenemann, Psychometrika 31, 1966.
        u, _s, v = np.linalg.svd(coded.astype(np.float64).T @ rows)
        turn = u @ v
    return best


@dataclass(frozen=True)
class QueryWhitening(TransformSpec):
    """Weighs directions by how much queries look along them; inner products stay what they are.

    A code of x loses ``<q, x - x'>``, whose mean square over queries is
    ``(x - x')^T H (x - x')`` with ``H = E[q q^T]``. With ``H = L L^T`` that is the squared length
    of ``L^T (x - x')``: any codec that keeps ``L^T x`` close, as all do, then keeps scores close.
    Queries become ``L^-1 q``, so that ``<L^-1 q, L^T x> = <q, x>``. It gains where queries are
    unlike the vectors, and next to nothing where they are alike. Give it some thousand queries of
    384 dimensions: a hundred teach nothing, and twenty do harm.

    L^T is the symmetric root of H, or, with `parts`, that root turned to the principal directions
    of what it makes of the vectors, shared out as by :class:`OPQ`. A product quantizer needs that:
    else directions that are made longer lie across all of its parts, and each spends its code on
    them. Codes that rotate by themselves need nothing.

    Parameters
    ----------
    ridge : float
        Added to H, as a share of its mean eigenvalue: how far to trust the sample. 0 to 1000.
    parts : int, optional
        Of the product quantizer that will stand behind it.

    References
    ----------
    The weight H: "A2ATS: Retrieval-Based KV Cache Reduction via Windowed Rotary Position
    Embedding and Query-Aware Vector Quantization", arXiv 2502.12665, 2025. The parts: Ge et al.,
    CVPR 2013.
    """

    name: ClassVar[str] = "query-whitening"

    ridge: float = 1.0
    parts: int | None = None

    def __post_init__(self) -> None:
        _number(self.ridge, "ridge", 0, 1000)
        object.__setattr__(self, "ridge", float(self.ridge))
        if self.parts is not None:
            object.__setattr__(self, "parts", as_count(self.parts, "parts"))

    def _fit(
        self, vectors: Array, queries: Array | None, metric: str, seed: int, threads: int | None
    ) -> Transform:
        self._refuse_l2(metric)
        wanted, dim = self._wanted(queries), vectors.shape[1]
        _check_parts(self.parts, dim)
        data, query = roots(_query_weights(wanted, metric, seed), self.ridge)
        if self.parts is None:
            return Transform(data, query)
        found = moments(vectors, "vectors", unit=metric == "cosine", seed=seed)
        values, rows = eigen(data @ found.covariance @ data)
        rows = rows[_shared_out(values, self.parts)]
        return Transform(rows @ data, rows @ query)


@dataclass(frozen=True)
class LeanVec(TransformSpec):
    """Keeps the dimensions that matter most for the inner products of queries with vectors.

    The pair of matrices of `dim` rows that minimises the mean square error of inner products
    between the two samples. Where queries are like the vectors it is near to :class:`PCA`.

    Parameters
    ----------
    dim : int
        How many to keep.
    ridge : float
        As of :class:`QueryWhitening`.

    References
    ----------
    Tepper et al., "LeanVec: Searching vectors faster by making them fit", arXiv 2312.16335, 2023,
    whose problem is solved here in closed form, by an eigendecomposition.
    """

    name: ClassVar[str] = "leanvec"

    dim: int
    ridge: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "dim", as_count(self.dim, "dim"))
        _number(self.ridge, "ridge", 0, 1000)
        object.__setattr__(self, "ridge", float(self.ridge))

    def _fit(
        self, vectors: Array, queries: Array | None, metric: str, seed: int, threads: int | None
    ) -> Transform:
        self._refuse_l2(metric)
        out = _out_dim(self.dim, vectors.shape[1])
        root, inverse = roots(_query_weights(self._wanted(queries), metric, seed), self.ridge)
        found = moments(vectors, "vectors", unit=metric == "cosine", seed=seed)
        rows = eigen(root @ found.covariance @ root)[1][:out]
        return Transform(rows @ root, rows @ inverse, found.mean)


def _query_weights(queries: Array, metric: str, seed: int) -> Wide:
    second = moments(queries, "queries", unit=metric == "cosine", seed=seed).second
    if not np.trace(second) > 0:
        raise ArgumentError("queries are all zero; wanted some that point somewhere")
    return second
