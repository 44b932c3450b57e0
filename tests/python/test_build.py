"""build(): what it chooses, and whether what it reports is true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference

import vicinal
from vicinal import _judge, building


def test_small_sets_are_searched_exactly(normal: Any) -> None:
    rows = normal(400, 32)
    index = vicinal.build(rows, "cosine", ids=np.arange(400) + 5)
    assert isinstance(index, vicinal.FlatIndex)
    assert index.search(rows[:7], 1).ids[:, 0].tolist() == list(range(5, 12))
    report = index.report
    assert report is not None
    assert (report.kind, report.recall, report.reached, report.ef) == ("FlatIndex", 1.0, True, 0)
    assert "exact" in str(report)


def test_full_recall_is_only_promised_by_exact_search(normal: Any) -> None:
    rows = normal(33_000, 32)
    assert rows.size > building.EXACT_NUMBERS
    assert isinstance(vicinal.build(rows, recall=1.0), vicinal.FlatIndex)


@pytest.fixture
def small_counts_as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph for thousands of vectors, not for a million numbers: the tests stay quick."""
    monkeypatch.setattr(building, "EXACT_NUMBERS", 1 << 12)
    monkeypatch.setattr(_judge, "BLOCK_NUMBERS", 1 << 16)  # several blocks of exact answers


@pytest.fixture(scope="module")
def rows() -> Any:
    """Clustered, as embeddings are, with some vectors twice."""
    rng = np.random.default_rng(3)
    centres = rng.standard_normal((50, 32)) * 2
    plain = centres[rng.integers(0, 50, 7_000)] + rng.standard_normal((7_000, 32))
    data = np.vstack([plain, plain[:1000]]).astype(np.float32)
    data.flags.writeable = False
    return data


@pytest.mark.usefixtures("small_counts_as_large")
@pytest.mark.parametrize("metric", ["l2", "cosine", "ip"])
def test_the_reported_recall_is_true(rows: Any, metric: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    queries = (rows[rng.integers(0, len(rows), 600)] + rng.standard_normal((600, 32))).astype("f4")
    ids = rng.permutation(len(rows)) * 7
    index = vicinal.build(rows, metric, recall=0.9, ids=ids, queries=queries[:400])
    assert isinstance(index, vicinal.HNSWIndex)
    report = index.report
    assert report is not None
    assert report.reached
    assert report.tuned_recall >= 0.9
    assert (report.ef, report.slack) == (index.ef, index.slack)
    assert (report.slack is None) == (metric == "ip")
    assert (report.sample, report.sample_source) == (400, "queries")
    assert report.rows == len(rows)
    assert report.queries_per_second > 0

    # Queries that build() has not seen: by distance, since vectors that appear twice tie.
    strange = queries[400:]
    got = index.search(strange, 10)
    exact = np.sort(reference.distances(strange, rows, metric), axis=1)[:, 9]
    place = np.argsort(ids)
    true = np.take_along_axis(
        reference.distances(strange, rows, metric), place[got.ids // 7], axis=1
    )
    recall = float((true <= exact[:, None] + 1e-9 * np.abs(exact[:, None])).mean())
    # 2000 places on either side: three standard deviations of their difference, each query's
    # ten places counted as moving together.
    assert abs(recall - report.recall) < 3 * np.sqrt(2 * 0.9 * 0.1 / 200)

    index.save(tmp_path / "index")
    again = vicinal.open(tmp_path / "index")
    assert again.report == report
    assert repr(again) == repr(index)
    assert np.array_equal(again.search(strange, 10).ids, got.ids)


@pytest.mark.usefixtures("small_counts_as_large")
def test_rows_are_looked_for_without_themselves(rows: Any) -> None:
    index = vicinal.build(rows, recall=0.8, seed=7)
    report = index.report
    assert report is not None
    assert (report.sample, report.sample_source) == (2000, "rows")
    again = vicinal.build(rows, recall=0.8, seed=7, threads=1)
    assert isinstance(index, vicinal.HNSWIndex)
    assert isinstance(again, vicinal.HNSWIndex)
    assert (again.ef, again.slack) == (index.ef, index.slack)
    assert again.report is not None
    assert again.report.recall == report.recall
    # Finding itself would make up for one of ten: 0.8 of the ten others is what was asked for. Each
    # was looked for without its links, so that more is found with them.
    sample = np.random.default_rng(0).choice(len(rows), 300, replace=False)
    exact = np.sort(reference.distances(rows[sample], rows, "l2"), axis=1)[:, 10]
    got = index.search(rows[sample], 11).ids
    true = np.take_along_axis(reference.distances(rows[sample], rows, "l2"), got, axis=1)
    others = ((true <= exact[:, None] + 1e-9) & (got != sample[:, None])).sum() / 3000
    assert others > report.recall - 3 * np.sqrt(2 * 0.8 * 0.2 / 300)


@pytest.mark.usefixtures("small_counts_as_large")
def test_a_recall_out_of_reach_is_said(rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_judge, "LARGEST_EF", 12)
    with pytest.warns(vicinal.RecallWarning, match=r"0.999 was not reached: 0\.\d+ at ef \d+"):
        index = vicinal.build(rows, recall=0.999)
    assert isinstance(index, vicinal.HNSWIndex)
    assert index.ef <= 1.6 * 12 + 1
    assert index.report is not None
    assert not index.report.reached
    assert "NOT reached" in str(index.report)


@pytest.mark.usefixtures("small_counts_as_large")
def test_large_values_get_a_store_that_holds_them(rows: Any) -> None:
    index = vicinal.build(rows.astype(np.float64) * 1e6, recall=0.5)
    assert index.params == vicinal.HNSWParams(vicinal.SQ8(), "float32")


@pytest.mark.usefixtures("small_counts_as_large")
def test_progress_is_told_and_may_stop(rows: Any) -> None:
    stages: list[str] = []
    vicinal.build(rows, recall=0.5, progress=lambda stage, done, total: stages.append(stage))
    assert "finding exact answers" in stages
    assert "choosing ef" in stages
    for last in ("finding exact answers", "choosing ef"):
        with pytest.raises(vicinal.CancelledError):
            vicinal.build(rows, recall=0.5, progress=lambda stage, *_, last=last: stage != last)
