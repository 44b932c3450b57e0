"""Means and second moments of samples, in float64 and block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vicinal._convert import as_vectors
from vicinal._types import Array
from vicinal.errors import ArgumentError, DimensionError

__all__ = ["Moments", "Wide", "as_rows", "blocks", "moments", "roots", "sample"]

Wide = npt.NDArray[np.float64]

#: Rows that second moments are taken from. Their error is about sqrt(dim / rows) of what they are.
MOMENT_ROWS = 100_000
_BLOCK_NUMBERS = 1 << 22  # 32 MiB of float64
#: Eigenvalues below this share of the largest count as that: float32 keeps the pair exact.
_LEAST_EIGENVALUE = 1e-5


@dataclass(frozen=True)
class Moments:
    """Mean, shape (dim,), and E[x x^T], shape (dim, dim)."""

    mean: Wide
    second: Wide

    @property
    def covariance(self) -> Wide:
        """E[(x - mean) (x - mean)^T]."""
        return self.second - np.outer(self.mean, self.mean)


def as_rows(values: npt.ArrayLike, argument: str, dim: int | None = None) -> Array:
    """Make a two-dimensional array of at least one row, `dim` wide."""
    array = as_vectors(values, argument)
    if array.ndim != 2:
        raise ArgumentError(
            f"{argument} has {array.ndim} dimensions; wanted 2 (one vector per row)"
        )
    if array.shape[0] == 0:
        raise ArgumentError(f"{argument} has 0 rows; wanted at least 1")
    if dim is not None and array.shape[1] != dim:
        raise DimensionError(f"{argument} has {array.shape[1]} columns; vectors has {dim}")
    if not 1 <= array.shape[1] <= 32768:
        raise ArgumentError(f"{argument} has {array.shape[1]} columns; wanted 1 to 32768")
    return array


def sample(array: Array, rows: int, seed: int) -> npt.NDArray[np.int64] | None:
    """Choose so many rows, in ascending order; None stands for all of them."""
    if len(array) <= rows:
        return None
    chosen = np.random.default_rng(seed).choice(len(array), rows, replace=False)
    return np.sort(chosen).astype(np.int64)


def blocks(
    array: Array, argument: str, chosen: npt.NDArray[np.int64] | None, unit: bool
) -> Iterator[Wide]:
    """Yield rows as float64, scaled to length 1 if `unit`; ArgumentError for what is no vector."""
    count = len(array) if chosen is None else len(chosen)
    step = max(1, _BLOCK_NUMBERS // array.shape[1])
    for start in range(0, count, step):
        if chosen is None:
            block = array[start : start + step].astype(np.float64)
        else:
            block = array[chosen[start : start + step]].astype(np.float64)
        if not np.isfinite(block).all():
            row, column = np.argwhere(~np.isfinite(block))[0]
            where = start + row if chosen is None else chosen[start + row]
            raise ArgumentError(
                f"{argument}: row {where}, column {column} is {block[row, column]}; "
                "wanted finite numbers"
            )
        if unit:
            lengths = np.linalg.norm(block, axis=1)
            if not lengths.all():
                row = int(np.argmin(lengths))
                where = start + row if chosen is None else chosen[start + row]
                raise ArgumentError(
                    f"{argument}: row {where} is zero, which has no direction under cosine"
                )
            block /= lengths[:, None]
        yield block


def moments(array: Array, argument: str, *, unit: bool, seed: int) -> Moments:
    """Take the moments of up to MOMENT_ROWS rows."""
    dim = array.shape[1]
    chosen = sample(array, MOMENT_ROWS, seed)
    total, second, count = np.zeros(dim), np.zeros((dim, dim)), 0
    for block in blocks(array, argument, chosen, unit):
        total += block.sum(axis=0)
        second += block.T @ block
        count += len(block)
    second /= count
    return Moments(total / count, (second + second.T) / 2)


def eigen(symmetric: Wide) -> tuple[Wide, Wide]:
    """Eigenvalues, largest first, and eigenvectors as rows, the largest number of each positive."""
    values, columns = np.linalg.eigh(symmetric)
    rows = columns.T[::-1]
    largest = np.take_along_axis(rows, np.abs(rows).argmax(axis=1)[:, None], axis=1)
    return values[::-1], rows * np.where(largest < 0, -1.0, 1.0)


def raised(values: Wide, ridge: float) -> Wide:
    """Eigenvalues of mean 1 with a ridge under them, none next to zero."""
    values = np.maximum(values, 0.0)
    mean = values.mean()
    values = values / mean + ridge
    kept: Wide = np.maximum(values, values.max() * _LEAST_EIGENVALUE)
    return kept


def roots(second: Wide, ridge: float) -> tuple[Wide, Wide]:
    """Return the symmetric square root of a second moment, scaled to mean 1, and its inverse."""
    values, rows = eigen(second)
    root = np.sqrt(raised(values, ridge))
    return rows.T @ (root[:, None] * rows), rows.T @ (rows / root[:, None])
