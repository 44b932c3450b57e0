"""True distances as publishers write them, brought to the way this library counts.

Some write Euclidean distances, others their squares; similarities come with either sign. What a
file means is found by computing a few of its distances anew, so a wrong guess cannot slip in.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from vicinal.io._check import Array

__all__ = ["exact", "settle"]

_QUERIES, _PLACES = 16, 4
# Publishers compute in float32, some from rounded rows; distances of near neighbours cancel.
_RELATIVE, _ABSOLUTE = 2e-3, 2e-3

Floats = npt.NDArray[np.float64]

_MEANINGS: dict[str, tuple[Callable[[Array], Array], ...]] = {
    "l2": (lambda d: d, np.square),
    "ip": (lambda d: d, np.negative, lambda d: d - 1),
    "cosine": (
        lambda d: d,
        lambda d: 1 - d,
        lambda d: 1 + d,
        lambda d: d * d / 2,  # of rows of length one, Euclidean and squared
        lambda d: d / 2,
    ),
}


def exact(base: Array, queries: Array, ids: Array, metric: str) -> Floats:
    """Distances of some rows from their queries, in double, as this library counts them.

    Parameters
    ----------
    base : ndarray, shape (n, dim)
    queries : ndarray, shape (q, dim)
    ids : ndarray of int, shape (q, k)
        Rows of `base`, none negative.
    metric : {'l2', 'ip', 'cosine'}
    """
    rows = base[np.asarray(ids, np.int64)].astype(np.float64)
    asked = queries.astype(np.float64)[:, None, :]
    if metric == "l2":
        squares: Floats = ((rows - asked) ** 2).sum(axis=2)
        return squares
    products: Floats = (rows * asked).sum(axis=2)
    if metric == "ip":
        return -products
    lengths = np.linalg.norm(rows, axis=2) * np.linalg.norm(asked, axis=2)
    # A row of zeros has no direction: as far as a right angle.
    cosines: Floats = products / np.where(lengths == 0, 1, lengths)
    return 1 - cosines


def settle(
    base: Array, queries: Array, ids: Array, stored: Array, metric: str
) -> npt.NDArray[np.float32] | None:
    """Convert stored distances, or give None if they mean nothing that is known here.

    Parameters
    ----------
    base, queries : ndarray, shape (n, dim) and (q, dim)
    ids, stored : ndarray, shape (q, k)
        True neighbours and what the file says of their distances.
    metric : {'l2', 'ip', 'cosine'}

    Returns
    -------
    ndarray of float32, shape (q, k), or None
    """
    places = np.linspace(0, max(len(queries) - 1, 0), _QUERIES).astype(int)
    columns = np.linspace(0, max(ids.shape[1] - 1, 0), _PLACES).astype(int)
    if not ids.size or not base.size:
        return np.asarray(stored, np.float32)
    near = ids[np.ix_(places, columns)].astype(np.int64)
    given = stored[np.ix_(places, columns)].astype(np.float64)
    there = near >= 0
    wanted = exact(base, queries[places], np.maximum(near, 0), metric)
    # Of squares and of products, rounding grows with the numbers and not with what is left.
    slack = _RELATIVE * np.abs(wanted) + _ABSOLUTE * _scale(base, near, metric)
    for meaning in _MEANINGS[metric]:
        fits = np.abs(meaning(given) - wanted) <= slack
        if np.all(fits | ~there):
            with np.errstate(over="ignore"):
                return np.asarray(meaning(np.asarray(stored, np.float64)), np.float32)
    return None


def _scale(base: Array, near: Array, metric: str) -> float:
    """Size of the numbers that a distance is the difference of; 1 for cosines."""
    if metric == "cosine":
        return 1.0
    rows = base[np.unique(np.maximum(near, 0))].astype(np.float64)
    return float(np.square(rows).sum(axis=1).max()) * 1e-3
