"""k-medoids: against the definition, and what it says to mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import vicinal
from vicinal.cluster import Medoids, kmedoids

METRICS = ["l2", "euclidean", "ip", "cosine", "hamming", "jaccard"]


def rows_for(metric: str, n: int, seed: int = 0) -> npt.NDArray[Any]:
    rng = np.random.default_rng(seed)
    if metric in ("hamming", "jaccard"):
        return np.packbits(rng.random((n, 90)) < rng.random((n, 1)), axis=1)
    centres = rng.standard_normal((6, 12))
    rows = centres[rng.integers(0, 6, n)] + 0.2 * rng.standard_normal((n, 12))
    return rows.astype(np.float32)


def distances(rows: npt.NDArray[Any], metric: str) -> npt.NDArray[np.float64]:
    """Of every pair, from the definition."""
    if metric in ("hamming", "jaccard"):
        bits = np.unpackbits(rows, axis=1).astype(np.float64)
        common = bits @ bits.T
        own = bits.sum(axis=1)
        either = own[:, None] + own - common
        if metric == "hamming":
            return either - common
        return 1 - np.divide(common, either, out=np.ones_like(common), where=either > 0)
    x = rows.astype(np.float64)
    if metric == "ip":
        return -(x @ x.T)
    if metric == "cosine":
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        return 1 - x @ x.T
    squares = ((x[:, None] - x) ** 2).sum(axis=2)
    return squares if metric == "l2" else np.sqrt(squares)


def best_exchange(table: npt.NDArray[np.float64], medoids: npt.NDArray[np.int64]) -> float:
    """Least loss that the exchange of one medoid for another row gives."""
    least = np.inf
    for place in range(len(medoids)):
        others = np.delete(medoids, place)
        rest = table[others].min(axis=0, initial=np.inf)
        least = min(least, np.minimum(table, rest).sum(axis=1).min())
    return float(least)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("clusters", [1, 2, 6, 120])
def test_no_exchange_helps(metric: str, clusters: int) -> None:
    rows = rows_for(metric, 120)
    table = distances(rows, metric)
    found = kmedoids(rows, clusters, metric=metric)
    assert isinstance(found, Medoids)
    assert found.method == "fasterpam"
    assert found.converged
    assert found.medoids.dtype == np.int64
    assert (np.diff(found.medoids) > 0).all()
    assert found.labels.dtype == np.int32
    # 120 distances in float32, each a sum of 12 products of magnitude at most the largest here.
    tolerance = 120 * 20 * 2.0**-23 * max(1.0, float(np.abs(table).max()))
    own = table[np.arange(120), found.medoids[found.labels]]
    assert found.loss == pytest.approx(own.sum(), abs=tolerance)
    assert found.loss == pytest.approx(table[found.medoids].min(axis=0).sum(), abs=tolerance)
    assert best_exchange(table, found.medoids) >= found.loss - tolerance
    assert found.sizes.sum() == 120
    assert len(found.sizes) == clusters


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("method", ["fasterpam", "sampling"])
def test_threads_change_nothing(metric: str, method: str) -> None:
    rows = rows_for(metric, 4200, seed=1)
    some = [
        kmedoids(rows, 6, metric=metric, method=method, iterations=1, samples=2, threads=threads)
        for threads in (1, 2, 5)
    ]
    for other in some[1:]:
        assert np.array_equal(other.medoids, some[0].medoids)
        assert np.array_equal(other.labels, some[0].labels)
        assert (other.loss, other.swaps) == (some[0].loss, some[0].swaps)


def test_start() -> None:
    rows = rows_for("l2", 300)
    given = [5, 200, 17]
    only = kmedoids(rows, 3, start=given, iterations=0)
    assert only.medoids.tolist() == sorted(given)
    assert not only.converged
    assert (only.swaps, only.iterations) == (0, 0)
    assert kmedoids(rows, 3, start=np.array(given, np.uint8)).loss < only.loss
    for name in ("random", "lab"):
        assert kmedoids(rows, 3, start=name).converged
    assert np.array_equal(kmedoids(rows, 3).medoids, kmedoids(rows, 3, start="random").medoids)


def test_what_it_prints() -> None:
    found = kmedoids(rows_for("l2", 50), 4)
    assert repr(found).startswith("<vicinal.cluster.Medoids: 4 of 50 vectors, l2, loss ")
    assert "not converged" in repr(kmedoids(rows_for("l2", 50), 4, iterations=0))
    with pytest.raises(AttributeError):
        found.loss = 3.0  # type: ignore[misc]


def test_two_empty_sets_are_equal() -> None:
    rows = np.zeros((5, 3), np.uint8)
    rows[3:] = 255
    found = kmedoids(rows, 2, metric="jaccard")
    assert found.loss == 0
    assert found.labels.tolist() == [0, 0, 0, 1, 1]


def test_progress_and_stopping() -> None:
    rows = rows_for("l2", 3000)
    told: list[str] = []
    kmedoids(rows, 5, progress=lambda stage, done, total: told.append(stage))
    assert "pass 1" in told
    for method in ("fasterpam", "sampling"):
        with pytest.raises(vicinal.CancelledError):
            kmedoids(rows, 5, method=method, progress=lambda *_: False)


def test_the_package_that_only_does_this() -> None:
    """The same start, the same order of candidates: the same medoids."""
    peer = pytest.importorskip("kmedoids")
    rng = np.random.default_rng(3)
    rows = rng.integers(0, 100, (200, 5)).astype(np.float32)  # distances exact in float32
    start = rng.choice(200, 8, replace=False)
    table = distances(rows, "l2").astype(np.float32)
    want = peer.fasterpam(table, start.astype(np.uint64), max_iter=100, n_cpu=1)
    got = kmedoids(rows, 8, start=start)
    assert sorted(want.medoids) == got.medoids.tolist()
    assert want.loss == got.loss


GOOD = rows_for("l2", 9)
Error = vicinal.ArgumentError
MISTAKES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"vectors": GOOD[0]}, Error, "vectors has 1 dimensions; wanted 2"),
    ({"vectors": GOOD[:0]}, Error, "vectors has 0 rows; wanted at least 1"),
    ({"vectors": GOOD[:, :0]}, Error, "vectors has rows of 0 columns"),
    ({"vectors": GOOD * np.nan}, Error, "vectors: row 0, column 0 is nan"),
    ({"vectors": GOOD * np.inf}, Error, "vectors: row 0, column 0 is -?inf"),
    ({"vectors": GOOD * 1e20}, Error, "vectors: row 0 has length"),
    ({"vectors": "x"}, TypeError, "vectors holds <U1"),
    ({"vectors": GOOD * 0, "metric": "cosine"}, Error, "vectors: row 0 is zero"),
    ({"metric": "hamming"}, TypeError, "vectors holds float32; under 'hamming' wanted uint8"),
    ({"metric": "jaccard", "vectors": [[1, 2]]}, TypeError, "vectors holds int64; under"),
    ({"metric": "angle"}, Error, "metric must be one of 'l2', .*, got 'angle'"),
    ({"metric": None}, TypeError, "metric must be a string, got NoneType"),
    ({"method": "pam"}, Error, "method must be one of 'auto', .*, got 'pam'"),
    ({"clusters": 0}, Error, "clusters must be from 1 to"),
    ({"clusters": 10}, Error, "clusters must be from 1 to 9, the number of vectors, got 10"),
    ({"clusters": 2.0}, TypeError, "clusters must be a whole number, got float 2.0"),
    ({"start": "best"}, Error, "start must be one of 'random', 'lab', got 'best'"),
    ({"start": [1]}, Error, "start has 1 rows; wanted one for each of 2 clusters"),
    ({"start": [1, 1]}, Error, "start holds row 1 twice"),
    ({"start": [1, 9]}, Error, "start holds row 9; wanted 0 to 8"),
    ({"start": [1, -1]}, Error, "start holds row -1; wanted 0 to 8"),
    ({"start": [0.0, 1.0]}, TypeError, "start holds float64; wanted integers"),
    ({"iterations": -1}, Error, "iterations must be from 0"),
    ({"samples": 0}, Error, "samples must be from 1"),
    ({"sample_size": 1}, Error, "sample_size must be from 2 to 9, got 1"),
    ({"sample_size": 10}, Error, "sample_size must be from 2 to 9, got 10"),
    ({"refine": 10}, Error, "refine must be from 0 to 9, got 10"),
    ({"refine": 1.5}, TypeError, "refine must be a whole number"),
    ({"seed": -1}, Error, "seed must be from 0"),
    ({"threads": 0}, Error, "threads must be from 1"),
    ({"progress": 1}, TypeError, "progress must be None or callable"),
]


@pytest.mark.parametrize(("arguments", "error", "says"), MISTAKES)
def test_mistakes(arguments: dict[str, Any], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        kmedoids(**{"vectors": GOOD, "clusters": 2, **arguments})
