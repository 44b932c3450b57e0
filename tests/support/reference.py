"""Exhaustive search in double precision, which the indexes are compared with and know not of."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[Any]


def distances(queries: Matrix, rows: Matrix, metric: str) -> npt.NDArray[np.float64]:
    """Shape (q, n)."""
    q, x = queries.astype(np.float64), rows.astype(np.float64)
    if metric == "l2":
        return ((q[:, None, :] - x[None, :, :]) ** 2).sum(axis=2)
    inner = q @ x.T
    if metric == "ip":
        return -inner
    return 1 - inner / (np.linalg.norm(q, axis=1)[:, None] * np.linalg.norm(x, axis=1)[None, :])


def nearest(
    queries: Matrix, rows: Matrix, ids: Matrix, metric: str, k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Nearest first, ties by smaller id, padded with -1 and inf: both (q, k)."""
    found_ids = np.full((len(queries), k), -1, np.int64)
    found = np.full((len(queries), k), np.inf)
    if len(rows):
        for i, row in enumerate(distances(queries, rows, metric)):
            order = np.lexsort((ids, row))[:k]
            found_ids[i, : len(order)] = ids[order]
            found[i, : len(order)] = row[order]
    return found_ids, found


def shared(got: Matrix, want: Matrix) -> float:
    """Share of the wanted ids that were found."""
    hits = sum(
        len(set(a) & (set(b) - {-1})) for a, b in zip(got.tolist(), want.tolist(), strict=True)
    )
    return hits / max(1, int((want >= 0).sum()))
