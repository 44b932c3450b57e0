"""Codes as names: how well the prefixes of residual codes stand for what vectors are about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vicinal._convert import as_array
from vicinal._types import Array
from vicinal.errors import ArgumentError, DimensionError

__all__ = ["SemanticIds", "semantic_ids"]


@dataclass(frozen=True, eq=False)
class SemanticIds:
    """What :func:`semantic_ids` found. Place ``l`` of an array is about codes 0 to ``l``.

    Attributes
    ----------
    used : ndarray of int64, shape (levels,)
        How many different codes each level uses.
    entropy : ndarray of float64, shape (levels,)
        Bits that the use of each level's codes holds; 8 if 256 codes are used alike.
    prefixes : ndarray of int64, shape (levels,)
        How many different prefixes there are.
    collisions : ndarray of float64, shape (levels,)
        Share of the rows whose prefix another row has too. The last place is about whole ids.
    chance : ndarray of float64, shape (levels,)
        The same if each row drew its prefix by chance from all ``entries ** (l + 1)``.
    purity : ndarray of float64, shape (levels,), or None
        Of the rows that share their prefix, the share that bears the most frequent label of
        those who do. NaN where no prefix is shared; None without labels.
    """

    used: npt.NDArray[np.int64]
    entropy: npt.NDArray[np.float64]
    prefixes: npt.NDArray[np.int64]
    collisions: npt.NDArray[np.float64]
    chance: npt.NDArray[np.float64]
    purity: npt.NDArray[np.float64] | None


def semantic_ids(
    codes: npt.ArrayLike, labels: npt.ArrayLike | None = None, *, entries: int = 256
) -> SemanticIds:
    """Say how well code prefixes name the vectors they stand for.

    Codes of a residual quantizer go from the coarse to the fine, so their prefixes are clusters
    within clusters, which generative retrieval and recommenders use as names of items.

    Parameters
    ----------
    codes : array_like of int, shape (n, levels)
        As a residual quantizer encodes; leave out the last byte of its rows, which is about their
        lengths.
    labels : array_like, shape (n,), optional
        What each row is about: anything that numpy can sort.
    entries : int
        Codes that a level has to choose from.

    Returns
    -------
    SemanticIds
        Use and entropy of each level; collisions and purity of each length of prefix.

    Raises
    ------
    ArgumentError
        No rows or levels, a code that is not within ``0 .. entries - 1``. A ``ValueError``, as is
        the next.
    DimensionError
        Not as many labels as rows.

    References
    ----------
    Singh et al., "Better Generalization with Semantic IDs", arXiv:2306.08121; Rajput et al.,
    NeurIPS 2023 (codes as names in generative retrieval).
    """
    rows = as_array(codes, "codes")
    if rows.ndim != 2 or 0 in rows.shape:
        raise ArgumentError(f"codes has shape {rows.shape}; wanted (n, levels), neither of them 0")
    if rows.dtype.kind not in "iu":
        raise TypeError(f"codes holds {rows.dtype}; wanted whole numbers")
    if rows.min() < 0 or rows.max() >= entries:
        raise ArgumentError(
            f"codes holds {rows.min()} to {rows.max()}; wanted 0 to entries - 1 = {entries - 1}"
        )
    n, levels = rows.shape
    named = None
    if labels is not None:
        given = np.asarray(labels)
        if given.shape != (n,):
            raise DimensionError(f"labels has shape {given.shape}; wanted ({n},), one per row")
        named = np.unique(given, return_inverse=True)[1].reshape(n).astype(np.int64)

    used = np.empty(levels, np.int64)
    entropy = np.empty(levels)
    prefixes = np.empty(levels, np.int64)
    collisions = np.empty(levels)
    purity = np.empty(levels)
    prefix = np.zeros(n, np.int64)
    for level in range(levels):
        code = rows[:, level].astype(np.int64)
        counts = np.bincount(code, minlength=entries)
        share = counts[counts > 0] / n
        used[level] = len(share)
        entropy[level] = max(0.0, -float(np.sum(share * np.log2(share))))
        # Numbers of prefixes stay below n, so those of the next length stay far below 2**63.
        _, prefix, sizes = np.unique(
            prefix * entries + code, return_inverse=True, return_counts=True
        )
        prefix = prefix.reshape(n).astype(np.int64)
        prefixes[level] = len(sizes)
        shared = sizes > 1
        collisions[level] = sizes[shared].sum() / n
        if named is not None:
            purity[level] = _purity(prefix, sizes, named)
    chances = np.exp(-np.arange(1, levels + 1) * np.log(entries))
    alone = np.log1p(-chances) if entries > 1 else np.full(levels, -np.inf)
    chance = -np.expm1((n - 1) * alone) if n > 1 else np.zeros(levels)
    return SemanticIds(
        used, entropy, prefixes, collisions, chance, purity if named is not None else None
    )


def _purity(prefix: Array, sizes: Array, labels: Array) -> float:
    """Share of the rows with a shared prefix that bear the most frequent label of that prefix."""
    width = int(labels.max()) + 1
    pairs, counts = np.unique(prefix * width + labels, return_counts=True)
    most = np.zeros(len(sizes), np.int64)
    np.maximum.at(most, pairs // width, counts)
    shared = sizes > 1
    rows = int(sizes[shared].sum())
    return float(most[shared].sum() / rows) if rows else float("nan")
