"""Clusters: the Python face, against numpy and on real sentence embeddings."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vicinal
import vicinal.cluster
from vicinal.cluster import kmeans

DATA = Path(vicinal.__file__).parent / "data" / "wordnet-10k.npz"


@pytest.fixture(scope="module")
def words() -> Any:
    """10,000 definitions, 384 dimensions, float16."""
    with np.load(DATA) as file:
        return file["base"]


def lloyd(rows: Any, start: Any, iterations: int) -> tuple[Any, float]:
    """Lloyd's algorithm by numpy, in double: centroids and objective."""
    rows, centroids = rows.astype(np.float64), start.astype(np.float64)
    for iteration in range(iterations + 1):
        squared = (rows**2).sum(axis=1)[:, None] + (centroids**2).sum(axis=1)
        distances = squared - 2.0 * rows @ centroids.T
        labels = distances.argmin(axis=1)
        objective = float(((rows - centroids[labels]) ** 2).sum())
        if iteration < iterations:
            for c in np.unique(labels):
                centroids[c] = rows[labels == c].mean(axis=0)
    return centroids, objective


def test_equals_numpy_from_the_same_start(words: Any) -> None:
    rows = words[:3000].astype(np.float32)
    start = rows[::100]
    for iterations in (0, 1, 5):
        got = kmeans(rows, 30, start=start, iterations=iterations, tolerance=0)
        _, objective = lloyd(rows, start, iterations)
        # Near ties may go either way in float32: both change the objective by its own rounding.
        assert got.objective == pytest.approx(objective, rel=1e-5)
        assert got.iterations == iterations


def test_pruned_equals_numpy(words: Any) -> None:
    rows = words.astype(np.float32)
    start = rows[::39][:256]
    got = kmeans(rows, 256, start=start, iterations=4, tolerance=0)
    _, objective = lloyd(rows, start, 4)
    assert got.objective == pytest.approx(objective, rel=1e-5)


def test_what_comes_back(words: Any) -> None:
    found = kmeans(words, 50, metric="cosine", seed=3)
    assert found.centroids.shape == (50, 384)
    assert found.centroids.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found.centroids, axis=1), 1.0, atol=1e-6)
    assert found.labels.dtype == np.int32
    assert found.sizes.dtype == np.int64
    assert np.array_equal(np.bincount(found.labels, minlength=50), found.sizes)
    part = found.sizes / 10_000
    assert found.entropy == pytest.approx(-(part * np.log2(part)).sum())
    assert found.max_over_mean == pytest.approx(found.sizes.max() / 200)
    rows = words.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cosine = (rows * found.centroids[found.labels]).sum(axis=1)
    assert found.objective == pytest.approx((1 - cosine).sum(), rel=1e-5)
    assert "50 clusters" in repr(found)
    with pytest.raises(AttributeError):
        found.objective = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("balance", [None, "penalty", "capacity", "transport"])
def test_threads_change_nothing(words: Any, balance: str | None) -> None:
    runs = [kmeans(words[:4000], 60, balance=balance, threads=t, iterations=5) for t in (1, 3)]
    assert np.array_equal(runs[0].labels, runs[1].labels)
    assert np.array_equal(runs[0].centroids, runs[1].centroids)
    assert runs[0].objective == runs[1].objective


@pytest.mark.parametrize("dtype", ["float64", "float16", "float32"])
def test_types_and_strides(words: Any, dtype: str) -> None:
    plain = words[:2000].astype(np.float32)
    want = kmeans(plain, 20, seed=1)
    for other in (plain.astype(dtype), np.asfortranarray(plain.astype(dtype))):
        got = kmeans(other, 20, seed=1)
        assert np.array_equal(got.labels, want.labels)
        assert np.array_equal(got.centroids, want.centroids)


def test_small_cases() -> None:
    rows = np.array([[0, 0], [0, 2], [10, 0], [10, 2]])
    one = kmeans(rows, 1)
    assert one.centroids.tolist() == [[5, 1]]
    assert one.objective == 4 * 26
    two = kmeans(rows, 2, restarts=5)
    assert sorted(two.centroids.tolist()) == [[0, 1], [10, 1]]
    assert two.objective == 4
    assert kmeans(rows, 4).objective == 0
    assert kmeans([1.0, 2.0], 1).centroids.tolist() == [[1, 2]]


# Measured with 100 clusters: 2.54 unbalanced; 1.05 by capacity, 1.03 by transport; by penalty 1.16
# with 300 clusters of 30,000 other definitions.
@pytest.mark.parametrize(
    ("balance", "most"), [("penalty", 1.3), ("capacity", 1.06), ("transport", 1.3)]
)
def test_balance_on_real_vectors(words: Any, balance: str, most: float) -> None:
    free = kmeans(words, 100, metric="cosine")
    assert free.max_over_mean > 1.5
    even = kmeans(words, 100, metric="cosine", balance=balance)
    assert even.max_over_mean < most
    assert even.entropy > free.entropy
    assert even.entropy > np.log2(100) - 0.02
    # Evenness costs little on such data.
    assert even.objective < 1.05 * free.objective


def test_transport_with_tiny_epsilon(words: Any) -> None:
    found = kmeans(words[:1000], 10, balance="transport", epsilon=1e-4, rounds=300)
    assert np.isfinite(found.centroids).all()
    assert found.max_over_mean < 1.3


def test_assign(words: Any) -> None:
    rows = words[:500].astype(np.float32)
    centroids = words[500:560].astype(np.float32)
    squared = ((rows[:, None, :].astype(float) - centroids[None].astype(float)) ** 2).sum(axis=2)
    order = np.argsort(squared, axis=1, kind="stable")
    got = vicinal.cluster.assign(rows, centroids, nearest=3)
    # Sums of 384 squares of numbers below 2, each rounded.
    np.testing.assert_allclose(
        got.distances, np.take_along_axis(squared, order[:, :3], axis=1), atol=387 * 2.0**-22
    )
    assert (got.labels == order[:, :3]).mean() > 0.99
    padded = vicinal.cluster.assign(rows[0], centroids[:2], "cosine", 4)
    assert padded.labels[0, 2:].tolist() == [-1, -1]
    assert np.isposinf(padded.distances[0, 2:]).all()
    found = kmeans(rows, 8)
    assert np.array_equal(found.assign(rows).labels[:, 0], found.labels)


def test_where_the_data_lies_does_not_matter() -> None:
    near = vicinal.cluster.assign([[10001.0]], [[10000.0], [10001.0]])
    assert near[0].tolist() == [[1]]
    several = vicinal.cluster.assign([[10001.0]], [[10000.0], [10001.0]], nearest=2)
    assert several[0].tolist() == [[1, 0]]
    assert kmeans([[10000.0], [10001.0]], 2).sizes.tolist() == [1, 1]
    # Whole numbers, so that moving them loses nothing.
    rows = np.random.default_rng(4).integers(-40, 40, (4000, 3)).astype(np.float32)
    here = kmeans(rows, 30, seed=3)
    there = kmeans(rows + 2.0**17, 30, seed=3)
    assert there.objective < 1.02 * here.objective
    distances = ((rows[:, None].astype(np.float64) + 2.0**17 - there.centroids) ** 2).sum(axis=2)
    least, got = distances.min(axis=1), distances[np.arange(len(rows)), there.labels]
    assert (got <= least * 1.001 + 0.01).all()
    for balance in ("penalty", "capacity", "transport"):
        even = kmeans(rows + 2.0**17, 20, seed=3, balance=balance)
        assert even.objective < 1.3 * kmeans(rows, 20, seed=3, balance=balance).objective


def test_progress_and_stopping(words: Any) -> None:
    seen: list[tuple[str, int, int]] = []
    kmeans(words[:2000], 20, progress=lambda *now: seen.append(now))
    assert {"starting", "clustering"} <= {stage for stage, _, _ in seen}
    assert all(done <= total for _, done, total in seen)
    for balance in (None, "penalty", "capacity", "transport"):
        with pytest.raises(vicinal.CancelledError):
            kmeans(words, 30, balance=balance, progress=lambda *_: False)

    def fail(*_: object) -> None:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        kmeans(words, 30, progress=fail)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"clusters": 5}, vicinal.ArgumentError, "clusters .* 4; got 5"),
        ({"clusters": 0}, vicinal.ArgumentError, "clusters"),
        ({"clusters": 1.5}, TypeError, "clusters"),
        ({"metric": "hamming"}, vicinal.ArgumentError, "metric"),
        ({"start": "far"}, vicinal.ArgumentError, "start"),
        ({"start": "given"}, vicinal.ArgumentError, "start"),
        ({"start": [[1.0]]}, vicinal.ArgumentError, "start has 1 columns"),
        ({"start": [[1.0, 2.0]]}, vicinal.ArgumentError, "start has 1 rows"),
        ({"start": [[1.0, 2.0], [1e300, 1.0]]}, vicinal.ArgumentError, "start: row 1"),
        ({"balance": "even"}, vicinal.ArgumentError, "balance"),
        ({"balance": 1}, TypeError, "balance"),
        ({"iterations": -1}, vicinal.ArgumentError, "iterations"),
        ({"restarts": 0}, vicinal.ArgumentError, "restarts"),
        ({"tolerance": float("nan")}, vicinal.ArgumentError, "tolerance"),
        ({"tolerance": "small"}, TypeError, "tolerance"),
        ({"seed": -1}, vicinal.ArgumentError, "seed"),
        ({"threads": 0}, vicinal.ArgumentError, "threads"),
        ({"progress": 3}, TypeError, "progress"),
        ({"balance": "capacity", "slack": 0.5}, vicinal.ArgumentError, "slack"),
        ({"balance": "transport", "epsilon": 0}, vicinal.ArgumentError, "epsilon"),
        ({"balance": "penalty", "branching": 1}, vicinal.ArgumentError, "branching"),
    ],
)
def test_misuse(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    rows = np.arange(8.0).reshape(4, 2)
    with pytest.raises(error, match=message):
        kmeans(rows, **{"clusters": 2, **arguments})


def test_bad_vectors() -> None:
    rows = np.ones((4, 2))
    rows[2, 1] = np.nan
    with pytest.raises(vicinal.ArgumentError, match="vectors: row 2, column 1 is nan"):
        kmeans(rows, 2)
    rows[2] = 0
    with pytest.raises(vicinal.ArgumentError, match="row 2 is zero"):
        kmeans(rows, 2, metric="cosine")
    with pytest.raises(vicinal.ArgumentError, match="no rows"):
        kmeans(np.empty((0, 2)), 1)
    with pytest.raises(TypeError, match="vectors"):
        kmeans([["a", "b"]], 1)
    with pytest.raises(vicinal.ArgumentError, match="centroids has 3 columns"):
        vicinal.cluster.assign(np.ones((4, 2)), np.ones((2, 3)))
    with pytest.raises(vicinal.ArgumentError, match="nearest"):
        vicinal.cluster.assign(np.ones((4, 2)), np.ones((2, 2)), nearest=0)


@pytest.mark.parametrize("name", ["kmeans", "assign"])
def test_every_parameter_is_described(name: str) -> None:
    value = getattr(vicinal.cluster, name)
    text = inspect.getdoc(value) or ""
    section = text.split("Parameters\n---")[1].split("Returns\n---")[0]
    for parameter in inspect.signature(value).parameters:
        assert any(
            parameter in line.split(" : ")[0].replace(",", " ").split()
            for line in section.splitlines()
            if " : " in line
        ), parameter
