"""tune(): the plan that build() follows, and what it says about memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference

import vicinal
from vicinal import tuning

ROWS, DIM = 9_000, 128


@pytest.fixture(scope="module")
def rows() -> Any:
    """More numbers than are scanned; clustered, as embeddings are."""
    rng = np.random.default_rng(11)
    centres = rng.standard_normal((60, DIM))
    data = centres[rng.integers(0, 60, ROWS)] + rng.standard_normal((ROWS, DIM))
    data = data.astype(np.float32)
    data.flags.writeable = False
    return data


def held(index: vicinal.FlatIndex | vicinal.HNSWIndex) -> int:
    """Bytes of an index without what its searches took for themselves."""
    memory = index.memory()
    return memory.total - memory.get("search scratch", 0)


@pytest.mark.parametrize("metric", ["l2", "cosine", "ip"])
def test_build_follows_the_plan(rows: Any, metric: str) -> None:
    plan = vicinal.tune(rows, metric, seed=5)
    assert vicinal.tune(rows, metric, seed=5, threads=1) == plan
    empty = plan.make()
    assert (len(empty), empty.dim, empty.metric) == (0, DIM, metric)
    index = vicinal.build(rows, metric, seed=5, recall=0.5)
    assert isinstance(index, vicinal.HNSWIndex)
    assert (index.params, index.transform) == (plan.params, plan.transform)
    assert empty.params == index.params
    assert index.report is not None
    assert (index.report.why, index.report.tried) == (plan.why, plan.tried)
    assert held(index) == pytest.approx(plan.bytes_per_vector * ROWS, rel=0.01)
    assert plan.why in str(plan)
    assert plan.tried[0].codes in str(plan)


def test_less_memory_takes_less_and_less() -> None:
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((ROWS, DIM)).astype(np.float32)
    free = vicinal.tune(rows)
    shapes, allowed = [], free.bytes_per_vector
    while True:
        plan = vicinal.tune(rows, memory=int(allowed * ROWS) + 1)
        assert isinstance(plan.params, vicinal.HNSWParams)
        assert plan.bytes_per_vector <= allowed + 1
        shapes.append((str(plan.params.codec), plan.params.refine, plan.params.links))
        if len(shapes) > 1:
            assert f"{plan.params.links} links: the memory allowed is " in plan.why
            assert f"what finds more takes {free.bytes_per_vector:,.0f}" in plan.why
        if len(shapes) == 6:
            break
        allowed = plan.bytes_per_vector - 1
    codes = str(free.params.codec)
    assert shapes == [
        (codes, "float16", 16),
        (codes, "float16", 8),
        ("sq8", None, 16),
        ("sq8", None, 8),
        ("sq4", None, 16),
        ("sq4", None, 8),
    ]
    least = plan.bytes_per_vector
    with pytest.raises(vicinal.ArgumentError, match=r"memory is .* the smallest graph takes \d+ "):
        vicinal.tune(rows, memory=int((least - 1) * ROWS))


@pytest.mark.parametrize("each", [380, 270, 170])
def test_an_index_keeps_to_the_memory_allowed(rows: Any, each: int) -> None:
    index = vicinal.build(rows, recall=0.8, memory=each * ROWS, queries=rows[:300] + 0.01)
    assert isinstance(index, vicinal.HNSWIndex)
    assert index.report is not None
    assert held(index) <= each * ROWS
    plan = vicinal.tune(rows, memory=each * ROWS)
    assert held(index) == pytest.approx(plan.bytes_per_vector * ROWS, rel=0.01)
    if index.report.reached:
        want, _ = reference.nearest(rows[:100], rows, np.arange(ROWS), "l2", 10)
        assert reference.shared(index.search(rows[:100], 10).ids, want) > 0.7


def test_a_recall_that_memory_does_not_allow_is_said(rows: Any) -> None:
    with pytest.warns(vicinal.RecallWarning, match="was not reached: .* Try more memory; recall=1"):
        index = vicinal.build(rows, recall=0.995, memory=170 * ROWS)
    assert index.report is not None
    assert not index.report.reached


def test_exact_search_takes_what_it_takes(rows: Any) -> None:
    plan = vicinal.tune(rows[:100])
    assert plan.params == vicinal.FlatParams()
    assert isinstance(plan.make(), vicinal.FlatIndex)
    assert str(plan).startswith("FlatIndex for 100 vectors, dim 128, l2\nwhy ")
    assert len(vicinal.build(rows[:100], memory=100 * (4 * DIM + 8))) == 100
    for what in (rows[:100], rows):
        with pytest.raises(vicinal.ArgumentError, match=rf"exact search of {len(what):,} vectors"):
            vicinal.build(what, recall=1, memory=10_000)


def test_bad_input_is_named(rows: Any) -> None:
    bad = rows.copy()
    bad[8123, 3] = np.inf
    with pytest.raises(vicinal.ArgumentError, match="row 8123,"):
        vicinal.tune(bad)
    wrong = rows[:50].copy()
    wrong[7, 0] = np.nan
    with pytest.raises(vicinal.ArgumentError, match="queries: row 7,"):
        vicinal.tune(rows, queries=wrong)
    with pytest.raises(vicinal.DimensionError, match="queries has 3 columns; vectors has 128"):
        vicinal.tune(rows, queries=wrong[:, :3])
    with pytest.raises(vicinal.ArgumentError, match="metric"):
        vicinal.tune(rows, "l3")
    with pytest.raises(vicinal.ArgumentError, match="memory"):
        vicinal.tune(rows, memory=-1)
    with pytest.raises(TypeError, match="memory"):
        vicinal.tune(rows, memory=1e9)  # type: ignore[arg-type]
    with pytest.raises(vicinal.ArgumentError, match="row 8123,"):
        vicinal.tune(bad, build_time=100)
    with pytest.raises(vicinal.CancelledError):
        vicinal.tune(rows, progress=lambda *_: False)


def test_time_that_is_enough_changes_nothing(rows: Any) -> None:
    assert vicinal.tune(rows, build_time=1e6) == vicinal.tune(rows)


def test_no_time_leaves_exact_search(rows: Any) -> None:
    index = vicinal.build(rows, build_time=1e-3)
    assert isinstance(index, vicinal.FlatIndex)
    assert index.report is not None
    assert "no graph that was tried on a sample would be built and calibrated in 0.001 s" in str(
        index.report
    )


def test_little_time_takes_less_effort(rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Building and calibrating, for each effort: too long, too long, short enough.
    clock = iter([5000, 10, 10, 5000, 100, 100])
    monkeypatch.setattr(tuning, "_seconds", lambda work: next(clock))
    plan = vicinal.tune(rows, build_time=4000)
    assert isinstance(plan.params, vicinal.HNSWParams)
    assert plan.params.build_ef == 50
    assert "build_ef 50 to be done in 4000 s" in plan.why


@pytest.mark.parametrize("seconds", [0, -1.5, float("nan"), "9", True])
def test_times_that_are_none(rows: Any, seconds: Any) -> None:
    with pytest.raises((vicinal.ArgumentError, TypeError), match="build_time must be"):
        vicinal.build(rows, build_time=seconds)


def test_few_directions_count() -> None:
    """Directions make rows so short that a graph keeps its refine store longer."""
    rng = np.random.default_rng(0)
    turned = np.linalg.qr(rng.standard_normal((256, 256)))[0]
    spread = np.where(np.arange(256) < 40, 1.0, 0.01)
    rows = ((rng.standard_normal((6000, 256)) * spread) @ turned).astype(np.float32)
    plan = vicinal.tune(rows)
    assert plan.transform is not None
    index = vicinal.build(rows, recall=0.5, memory=int(plan.bytes_per_vector * 6000) + 1)
    assert index.transform == plan.transform
    assert held(index) == pytest.approx(plan.bytes_per_vector * 6000, rel=0.01)


def test_bad_queries_are_named_by_their_own_row_before_anything_is_built(rows: Any) -> None:
    queries = rows[:3000].copy()
    queries[2871, 5] = np.nan

    def stages(stage: str, done: int, total: int) -> None:
        raise AssertionError(stage)

    with pytest.raises(vicinal.ArgumentError, match="queries: row 2871"):
        vicinal.build(rows, queries=queries, progress=stages)
    index = vicinal.HNSWIndex(DIM)
    index.add(rows[:500])
    with pytest.raises(vicinal.ArgumentError, match="queries: row 2871"):
        index.calibrate(queries)


def test_ids_of_another_length_are_refused_before_anything_is_built(rows: Any) -> None:
    def stages(stage: str, done: int, total: int) -> None:
        raise AssertionError(stage)

    with pytest.raises(
        vicinal.ArgumentError, match="ids has 3 entries; wanted one for each of 9000"
    ):
        vicinal.build(rows, ids=[1, 2, 3], progress=stages)


def test_wide_vectors_are_not_turned() -> None:
    wide = np.random.default_rng(0).standard_normal((300, 6000), dtype=np.float32)
    plan = vicinal.tune(wide)
    assert plan.transform is None
    assert isinstance(plan.params, vicinal.HNSWParams)
