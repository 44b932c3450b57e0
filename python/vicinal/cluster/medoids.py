"""k-medoids: clusters about rows of the data, under any metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from vicinal import _core
from vicinal._convert import as_array, as_ids, as_seed, as_vectors
from vicinal._types import Array, Ids, Progress
from vicinal.errors import ArgumentError

__all__ = ["Medoids", "kmedoids"]

MedoidMetric: TypeAlias = Literal["l2", "euclidean", "ip", "cosine", "hamming", "jaccard"]
_OF_BITS = ("hamming", "jaccard")


@dataclass(frozen=True, eq=False)
class Medoids:
    """What :func:`kmedoids` found.

    Attributes
    ----------
    medoids : ndarray of int64, shape (clusters,)
        Row numbers, ascending: ``vectors[medoids]`` are the medoids themselves.
    labels : ndarray of int32, shape (n,)
        Of each row the place of its nearest medoid in `medoids`; of equally near ones the first.
    loss : float
        Sum over the rows of the distance to their medoid.
    iterations : int
        Passes over the candidates, those of all samples together.
    swaps : int
        Medoids exchanged, in all samples together.
    converged : bool
        The search that gave the medoids ended by itself, before its iterations did. After
        "fasterpam": no exchange of a medoid for another row lowers the loss.
    method : str
        What was done: "fasterpam" or "sampling".
    metric : str
        What was added up.
    """

    medoids: Ids
    labels: npt.NDArray[np.int32]
    loss: float
    iterations: int
    swaps: int
    converged: bool
    method: str
    metric: str

    @property
    def sizes(self) -> Ids:
        """Rows of each cluster: int64, shape (clusters,)."""
        return np.bincount(self.labels, minlength=len(self.medoids)).astype(np.int64)

    def __repr__(self) -> str:
        return (
            f"<vicinal.cluster.Medoids: {len(self.medoids):,} of {len(self.labels):,} vectors, "
            f"{self.metric}, loss {self.loss:.6g}, {self.method}"
            f"{'' if self.converged else ', not converged'}>"
        )


def kmedoids(
    vectors: npt.ArrayLike,
    clusters: int,
    *,
    metric: MedoidMetric | str = "l2",
    method: Literal["auto", "fasterpam", "sampling"] | str = "auto",
    start: Literal["random", "lab"] | npt.ArrayLike = "random",
    iterations: int = 100,
    samples: int = 5,
    sample_size: int | None = None,
    refine: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Medoids:
    """Choose the rows about which the others lie closest, under any metric.

    FasterPAM tries row after row as a medoid against all rows; whichever lowers the loss takes the
    best place at once. It ends when no single exchange helps. Distances are computed when they are
    needed: memory grows with n, time with n**2 per pass. The sampling form runs it on samples,
    measures each result on all rows and keeps the best: time grows with n. The result is the same
    for any number of threads.

    Parameters
    ----------
    vectors : array_like, shape (n, dim)
        n >= 1. float64, float32, float16, int8 or uint8 at any strides. For "hamming" and
        "jaccard" uint8 rows of bits packed by eights (:func:`numpy.packbits`), of any width.
    clusters : int
        How many medoids, from 1 to n.
    metric : {"l2", "euclidean", "ip", "cosine", "hamming", "jaccard"}
        Squared Euclidean distance (as everywhere in vicinal; far rows weigh more, as in k-means),
        Euclidean distance (the usual one for k-medoids), negative inner product (no distance: a
        row may belong to a longer one rather than to itself), 1 - cosine, differing bits, or
        1 - common / either (two empty sets are at distance 0).
    method : {"auto", "fasterpam", "sampling"}
        "auto" is "fasterpam" up to 20,000 rows and "sampling" beyond.
    start : {"random", "lab"} or array_like of int, shape (clusters,)
        Any rows; one after the other the best of a few rows, which saves some swaps and seldom
        changes the end; or the row numbers of the first medoids, none twice.
    iterations : int
        Passes over the candidates at most, of each search. 0 only assigns the rows to the start.
    samples : int
        Of "sampling": how many, from 1. Each after the first holds the best medoids so far and
        starts from them.
    sample_size : int, optional
        Of "sampling": rows of a sample, from `clusters` to n. 80 + 4 * clusters, or n if that is
        less, unless given.
    refine : int, optional
        Of "sampling": that many rows are tried in the end as medoids against all rows, 0 to n.
        Twice `sample_size`, or n if that is less, unless given; each costs n distances.
    seed : int
        From 0; the only source of randomness.
    threads : int, optional
        How many to use, 1 to 1024. The result does not depend on it.
    progress : callable, optional
        ``progress(stage, done, total)``, about ten times a second; returning False stops with a
        :class:`~vicinal.CancelledError`.

    Returns
    -------
    Medoids
        Medoids, labels and loss.

    Raises
    ------
    ArgumentError
        A number is out of range; a row number in `start` is absent or repeated; the vectors hold
        NaN or infinity, under cosine a row of zeros, or a row so long that float32 cannot hold its
        distances. A ``ValueError``.
    TypeError
        An argument is of the wrong kind; bits that are not uint8.

    References
    ----------
    Schubert and Rousseeuw, "Fast and eager k-medoids clustering: O(k) runtime improvement of the
    PAM, CLARA, and CLARANS algorithms", Information Systems 101, 2021.

    Examples
    --------
    >>> import vicinal.cluster
    >>> found = vicinal.cluster.kmedoids([[0], [1], [2], [9], [10], [11]], 2)
    >>> found.medoids, found.labels, found.loss
    (array([1, 4]), array([0, 0, 0, 1, 1, 1], dtype=int32), 4.0)
    """
    rows = _rows(vectors, metric)
    first = start if isinstance(start, str) else as_ids(start, "start")
    medoids, labels, loss, passes, swaps, converged, taken = _core.kmedoids(
        rows,
        clusters,
        metric,
        method,
        first,
        iterations,
        samples,
        sample_size,
        refine,
        as_seed(seed),
        threads,
        progress,
    )
    return Medoids(medoids, labels.view(np.int32), loss, passes, swaps, converged, taken, metric)


def _rows(vectors: npt.ArrayLike, metric: object) -> Array:
    if isinstance(metric, str) and metric in _OF_BITS:
        array = as_array(vectors, "vectors")
        if array.dtype != np.uint8:
            raise TypeError(
                f"vectors holds {array.dtype}; under {metric!r} wanted uint8, bits packed by "
                "eights (numpy.packbits)"
            )
    else:
        array = as_vectors(vectors, "vectors")
    if array.ndim != 2:
        raise ArgumentError(f"vectors has {array.ndim} dimensions; wanted 2: one vector per row")
    return array
