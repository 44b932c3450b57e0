"""Recall by ids and by distance, ground truth and timing, against plain loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vicinal import ArgumentError, FlatIndex, HNSWIndex, evaluate
from vicinal.io import read_dataset


def plain_recall(found: np.ndarray, true: np.ndarray, k: int) -> list[float]:
    out = []
    for got, want in zip(found[:, :k].tolist(), true[:, :k].tolist(), strict=True):
        wanted = {w for w in want if w >= 0}
        out.append(len(wanted & set(got)) / len(wanted) if wanted else 1.0)
    return out


def test_recall_by_hand() -> None:
    true = [[1, 2, 3, 4], [5, 6, 7, 8]]
    found = [[4, 3, 9, 1], [5, 5, 5, 5]]
    assert evaluate.recall_per_query(found, true).tolist() == [0.75, 0.25]
    assert evaluate.recall_at_k(found, true) == 0.5
    assert evaluate.recall_at_k(found, true, k=1) == 0.5  # the true first is not found first


def test_missing_places_are_no_hits() -> None:
    assert evaluate.recall_at_k([[1, -1, -1]], [[1, 2, 3]]) == pytest.approx(1 / 3)
    assert evaluate.recall_at_k([[1, -1, -1]], [[1, -1, -1]]) == 1.0  # all there were
    assert evaluate.recall_at_k([[-1]], [[-1]]) == 1.0
    assert np.isnan(evaluate.recall_at_k(np.empty((0, 3), int), np.empty((0, 3), int)))


@given(st.data(), st.integers(1, 6))
def test_recall_is_the_plain_one(data: st.DataObject, k: int) -> None:
    queries = data.draw(st.integers(0, 6))
    ids = st.lists(st.integers(0, 9), min_size=6, max_size=6, unique=True)
    rows = st.lists(ids, min_size=queries, max_size=queries)
    true = np.array(data.draw(rows), np.int32).reshape(queries, 6)
    found = data.draw(hnp.arrays(np.int64, (queries, 6), elements=st.integers(-1, 9)))
    true = np.where(np.arange(6) < data.draw(st.integers(0, 6)), true, -1)
    got = evaluate.recall_per_query(found, true, k)
    assert got.tolist() == plain_recall(found, true, k)


def test_recall_in_several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    true = rng.permuted(np.tile(np.arange(30), (50, 1)), axis=1)[:, :10]
    found = rng.permuted(np.tile(np.arange(30), (50, 1)), axis=1)[:, :10]
    monkeypatch.setattr(evaluate, "_COMPARISONS_AT_ONCE", 700)
    assert evaluate.recall_per_query(found, true).tolist() == plain_recall(found, true, 10)


def test_ties_count_by_distance_and_not_by_id() -> None:
    found_ids, true_ids = [[1, 3]], [[1, 2]]  # 2 and 3 are equally far
    assert evaluate.recall_at_k(found_ids, true_ids) == 0.5
    assert evaluate.recall_by_distance([[0.5, 2.0]], [[0.5, 2.0]]) == 1.0


@pytest.mark.parametrize(
    ("found", "true", "epsilon", "want"),
    [
        ([1.0, 2.0, 3.1], [1.0, 2.0, 3.0], 0.0, 2 / 3),
        ([1.0, 2.0, 3.1], [1.0, 2.0, 3.0], 0.05, 1.0),
        ([-9.0, -8.0, -6.9], [-9.0, -8.0, -7.0], 0.0, 2 / 3),  # inner products
        ([-9.0, -8.0, -6.9], [-9.0, -8.0, -7.0], 0.05, 1.0),
        ([1.0, 2.0, 2.5], [1.0, 2.0, np.inf], 0.0, 1.0),  # two true ones, both found
        ([1.0, np.inf, np.inf], [1.0, 2.0, np.inf], 0.0, 0.5),
        ([np.inf] * 3, [np.inf] * 3, 0.0, 1.0),
        ([np.inf] * 3, [0.0, 0.0, 0.0], 0.1, 0.0),
        ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], 0.0, 1.0),
    ],
)
def test_recall_by_distance(
    found: list[float], true: list[float], epsilon: float, want: float
) -> None:
    assert evaluate.recall_by_distance([found], [true], epsilon=epsilon) == pytest.approx(want)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: evaluate.recall_at_k([1], [[1]]), "found_ids has 1 dimensions"),
        (lambda: evaluate.recall_at_k([[1]], [[1], [2]]), "found_ids has 1 rows, wanted 2"),
        (lambda: evaluate.recall_at_k([[1.0]], [[1]]), "found_ids holds float64"),
        (lambda: evaluate.recall_at_k([[1]], [[1, 2]], 2), "k is 2, but found_ids has 1"),
        (lambda: evaluate.recall_at_k([[1]], [[1]], 0), "k is 0"),
        (lambda: evaluate.recall_by_distance([[np.nan]], [[1.0]]), "found_distances has NaN in"),
        (lambda: evaluate.recall_by_distance([[1.0]], [[1.0]], epsilon=-1), "epsilon is -1"),
        (lambda: evaluate.recall_by_distance([[1.0]], [[1.0]], epsilon=np.nan), "epsilon is nan"),
        (lambda: evaluate.ground_truth([1.0], [[1.0]]), "base has 1"),
        (lambda: evaluate.ground_truth([[1.0]], [[1.0]], 0), "k is 0"),
        (lambda: evaluate.ground_truth([[1.0]], [[1.0]], ids=[1, 2]), "ids has shape"),
        (lambda: evaluate.throughput(lambda: None, 1, repeats=0), "repeats >= 1"),
    ],
)
def test_mistakes_are_named(call: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
@pytest.mark.parametrize("named", [False, True])
def test_truth_is_that_of_a_plain_search(
    metric: str, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    base = rng.integers(-4, 5, (230, 6)).astype(np.float32)  # small whole numbers: many ties
    base[:, 0] += 10  # no zero vectors
    queries = base[:7] + 1
    names = rng.permutation(1000)[:230] if named else np.arange(230)
    left, right = queries.astype(float), base.astype(float)
    if metric == "l2":
        distances = ((left[:, None] - right[None]) ** 2).sum(axis=2)
    elif metric == "ip":
        distances = -(left @ right.T)
    else:
        norms = np.linalg.norm(left, axis=1)[:, None] * np.linalg.norm(right, axis=1)[None]
        distances = 1 - left @ right.T / norms
    monkeypatch.setattr(evaluate, "_BASE_ROWS_AT_ONCE", 100)  # three blocks, to be merged
    calls: list[tuple[str, int, int]] = []
    got = evaluate.ground_truth(
        base, queries, 9, metric, ids=names if named else None, progress=lambda *c: calls.append(c)
    )
    order = np.lexsort((np.broadcast_to(names, distances.shape), distances), axis=1)[:, :9]
    want = np.take_along_axis(distances, order, axis=1)
    # Sums of six products of numbers below 15, in float32; 1 - cosine rounds near 1.
    np.testing.assert_allclose(got.distances, want, rtol=1e-5, atol=1e-6)
    if metric != "cosine":  # exact in float32, so ties are decided by id on both sides
        np.testing.assert_array_equal(got.ids, names[order])
    assert calls[-1] == ("comparing", 230, 230)


def test_more_neighbours_than_rows() -> None:
    got = evaluate.ground_truth([[0.0], [1.0]], [[0.2]], 4)
    assert got.ids.tolist() == [[0, 1, -1, -1]]
    assert np.isinf(got.distances[0, 2:]).all()


def test_throughput_takes_the_median(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(evaluate.time, "perf_counter", lambda: clock[0])
    waits = iter([100.0, 2.0, 1.0, 5.0])  # the first is not timed

    def work() -> None:
        clock[0] += next(waits)

    speed = evaluate.throughput(work, 100, repeats=3)
    assert speed.seconds == (2.0, 1.0, 5.0)
    assert speed.per_second == 50.0
    assert speed.microseconds == 20_000.0


def test_sweep() -> None:
    rng = np.random.default_rng(2)
    base = rng.standard_normal((400, 8)).astype(np.float32)
    queries = rng.standard_normal((20, 8)).astype(np.float32)
    truth = evaluate.ground_truth(base, queries, 10)
    exact, graph = FlatIndex(8), HNSWIndex(8)
    exact.add(base)
    graph.add(base)
    (point,) = evaluate.sweep(exact, queries, truth.ids, true_distances=truth.distances)
    assert (point.ef, point.recall, point.recall_by_distance) == (None, 1.0, 1.0)
    points = evaluate.sweep(graph, queries, truth.ids, efs=[10, 400], repeats=1)
    assert [p.ef for p in points] == [10, 400]
    # With as many candidates as rows the walk sees everything that is connected.
    assert points[1].recall == 1.0
    assert points[0].recall <= points[1].recall
    assert all(p.queries_per_second > 0 and p.recall_by_distance is None for p in points)


@pytest.mark.parametrize(
    ("word", "metric"), [("l2", "l2"), ("cosine", "cosine"), ("ip", "cosine"), ("dot", "ip")]
)
def test_a_data_set_states_its_metric(tmp_path: Path, word: str, metric: str) -> None:
    rows = np.eye(4, dtype=np.float32)
    path = tmp_path / "set.npz"
    np.savez(path, base=rows, query=rows[:2], metric=np.array(word))
    assert read_dataset(path).metric == metric
    np.savez(path, base=rows, query=rows[:2], metric=np.array("taste"))
    with pytest.raises(ArgumentError, match="metric 'taste', wanted one of euclidean"):
        read_dataset(path)
