"""k-means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from vicinal import _core
from vicinal._convert import as_vectors
from vicinal._types import Distances, Metric, Progress
from vicinal.errors import ArgumentError

__all__ = ["Assignment", "Clustering", "assign", "kmeans"]

Labels = npt.NDArray[np.int32]
Sizes = npt.NDArray[np.int64]


class Assignment(NamedTuple):
    """The nearest centroids of each vector, nearest first; ties go to the smaller number.

    Attributes
    ----------
    labels : ndarray of int32, shape (n, nearest)
        Numbers of centroids. Missing places hold -1.
    distances : ndarray of float32, shape (n, nearest)
        Smaller is nearer: squared L2, negative inner product or 1 - cosine. Missing places hold
        inf.
    """

    labels: Labels
    distances: Distances


@dataclass(frozen=True, eq=False, repr=False)
class Clustering:
    """What :func:`kmeans` found.

    Attributes
    ----------
    centroids : ndarray of float32, shape (clusters, dim)
        Means of the clusters; under "ip" and "cosine" scaled to length 1.
    labels : ndarray of int32, shape (n,)
        Cluster of each vector.
    sizes : ndarray of int64, shape (clusters,)
        Vectors in each cluster.
    objective : float
        Sum of the distances of the vectors to the centroids of their clusters: squared L2, negative
        inner product or 1 - cosine.
    entropy : float
        Of the sizes, in bits: ``log2(clusters)`` if all are equal.
    max_over_mean : float
        Largest size by the mean size.
    iterations : int
        Times that the centroids moved, in the run that was kept; splits below one another under
        ``balance="penalty"``. Steps of balancing are not counted.
    converged : bool
        It ended before the iterations did; under ``balance="penalty"``, ``max_over_mean`` is at
        most ``slack``.
    metric : str
        What was measured: "l2", "ip" or "cosine".
    """

    centroids: Distances
    labels: Labels
    sizes: Sizes
    objective: float
    entropy: float
    max_over_mean: float
    iterations: int
    converged: bool
    metric: str

    def assign(
        self,
        vectors: npt.ArrayLike,
        nearest: int = 1,
        *,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> Assignment:
        """Find the nearest centroids of other vectors.

        Parameters
        ----------
        vectors, nearest, threads, progress
            As for :func:`assign`.

        Returns
        -------
        Assignment
        """
        return assign(
            vectors,
            self.centroids,
            self.metric,
            nearest,
            threads=threads,
            progress=progress,
        )

    def __repr__(self) -> str:
        clusters, dim = self.centroids.shape
        return (
            f"<vicinal.cluster.Clustering of {len(self.labels):,} vectors: {clusters:,} clusters, "
            f"dim {dim}, {self.metric}, objective {self.objective:.6g}, "
            f"largest {self.max_over_mean:.3g} times the mean>"
        )


def kmeans(
    vectors: npt.ArrayLike,
    clusters: int,
    *,
    metric: Metric | str = "l2",
    start: Literal["k-means++", "random"] | npt.ArrayLike = "k-means++",
    iterations: int = 25,
    restarts: int = 1,
    tolerance: float = 1e-4,
    balance: Literal["penalty", "capacity", "transport"] | str | None = None,
    slack: float = 1.05,
    branching: int = 16,
    epsilon: float = 0.01,
    rounds: int = 100,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Clustering:
    """Group vectors around means.

    Every vector is compared with every centroid by a matrix product; with 256 clusters or more,
    a small product rules most of them out first where that pays, without changing the answer
    beyond the rounding of float32. A cluster that runs empty takes over half of the largest one.

    Parameters
    ----------
    vectors : array_like, shape (n, dim)
        float32 without gaps is read in place; float64, float16, int8, uint8 and other strides
        are converted block by block in every iteration. Other numbers are converted first, as a
        whole.
    clusters : int
        1 to n.
    metric : {"l2", "ip", "cosine"}
        "ip" and "cosine" make spherical k-means: centroids of length 1. Under "cosine" the vectors
        count with length 1 as well.
    start : "k-means++", "random" or array_like, shape (clusters, dim)
        "k-means++" draws vectors by their squared distance to those drawn before, out of at most
        ``max(32768, 8 * clusters)`` vectors, in batches of an eighth of those drawn before.
    iterations : int
        At most so many times are the centroids moved. 0 keeps the start, and only assigns.
    restarts : int
        Runs from different starts, of which the one with the least objective is kept.
    tolerance : float
        Stops once an iteration lowers the objective by less than this part of it; 0 stops only
        when no vector changes its cluster.
    balance : None, "penalty", "capacity" or "transport"
        What keeps clusters alike in size. "penalty" splits into `branching` parts again and
        again, where a part is charged for holding more than its share; then all clusters are
        charged side by side. "capacity" lets no cluster
        hold more than ``ceil(n / clusters * slack)``: first come those who would lose most by
        their second choice, then pairs change places. "transport" scales ``exp(-distance /
        epsilon)`` until every cluster has the same mass, and takes each vector's largest share;
        at most 4096 clusters, in batches of vectors if there are many.
    slack : float
        For "capacity" and "penalty", from 1. For "penalty" an aim, not a promise.
    branching : int
        For "penalty": parts of a split, 2 to 1024.
    epsilon : float
        For "transport": above 0, for distances that are scaled to span [-1, 1]. Smaller makes
        shares more decided and takes more rounds.
    rounds : int
        For "transport": scalings of rows and columns at most.
    seed : int
        The only source of randomness.
    threads : int, optional
        How many to use, 1 to 1024. The result does not depend on it.
    progress : callable, optional
        ``progress(stage, done, total)``, about ten times a second; returning False stops with
        a :class:`~vicinal.CancelledError`.

    Returns
    -------
    Clustering

    Raises
    ------
    ArgumentError
        There are fewer vectors than clusters; a vector holds NaN or infinity, or under cosine only
        zeros; an argument is out of range. A ``ValueError``.
    TypeError
        An argument is of the wrong kind.

    References
    ----------
    Arthur and Vassilvitskii, "k-means++", SODA 2007. Bahmani et al., "Scalable k-means++", PVLDB
    5(7), 2012. Chen et al., "SPANN", NeurIPS 2021 (penalty). Martello and Toth, "An algorithm for
    the generalized assignment problem", 1981 (capacity). Zhan et al., "Learning discrete
    representations via constrained clustering", WSDM 2022 (transport).

    Examples
    --------
    >>> import vicinal.cluster
    >>> found = vicinal.cluster.kmeans([[0, 0], [0, 1], [9, 9], [9, 8]], 2)
    >>> sorted(found.sizes.tolist()), found.objective
    ([2, 2], 1.0)
    """
    first: Distances | None = None
    if not isinstance(start, str):
        how, first = "given", _floats(start, "start")
    elif start == "given":
        raise ArgumentError("start must be 'k-means++', 'random' or an array, got 'given'")
    else:
        how = start
    if balance is not None and not isinstance(balance, str):
        raise TypeError(
            f"balance must be None or a string, got {type(balance).__name__} {balance!r}"
        )
    array = as_vectors(vectors, "vectors")
    centroids, labels, sizes, objective, entropy, ratio, moved, converged = _core.kmeans(
        array,
        clusters,
        metric,
        how,
        first,
        iterations,
        restarts,
        tolerance,
        balance or "none",
        slack,
        branching,
        epsilon,
        rounds,
        seed,
        threads,
        progress,
    )
    return Clustering(
        centroids.reshape(len(sizes), -1),
        labels.view(np.int32),
        sizes.view(np.int64),
        objective,
        entropy,
        ratio,
        moved,
        converged,
        metric,
    )


def assign(
    vectors: npt.ArrayLike,
    centroids: npt.ArrayLike,
    metric: Metric | str = "l2",
    nearest: int = 1,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Assignment:
    """Find the nearest centroids of each vector.

    Parameters
    ----------
    vectors : array_like, shape (n, dim) or (dim,)
        As for :func:`kmeans`; a single vector counts as n = 1.
    centroids : array_like, shape (clusters, dim)
        Converted to float32.
    metric : {"l2", "ip", "cosine"}
    nearest : int
        Centroids per vector, from 1. There may be fewer than that.
    threads : int, optional
        How many to use, 1 to 1024. The result does not depend on it.
    progress : callable, optional
        As for :func:`kmeans`.

    Returns
    -------
    Assignment
        ``labels`` and ``distances``, both (n, nearest).

    Raises
    ------
    ArgumentError
        The widths differ; a number is NaN or infinite; under cosine a row is zero. A
        ``ValueError``.
    TypeError
        An argument is of the wrong kind.
    """
    labels, distances = _core.assign(
        as_vectors(vectors, "vectors"),
        _floats(centroids, "centroids"),
        metric,
        nearest,
        threads,
        progress,
    )
    return Assignment(labels.view(np.int32), distances)


def _floats(values: npt.ArrayLike, argument: str) -> Distances:
    """Make a float32 array without gaps; what float32 cannot hold becomes infinite."""
    with np.errstate(over="ignore"):
        return np.require(as_vectors(values, argument), np.float32, ["C", "A"])
