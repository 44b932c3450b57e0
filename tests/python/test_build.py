"""build(): what it chooses, and whether what it reports is true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference

import vicinal
from vicinal import _judge, tuning


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
    assert rows.size > tuning.EXACT_NUMBERS
    assert isinstance(vicinal.build(rows, recall=1.0), vicinal.FlatIndex)


@pytest.fixture
def small_counts_as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph for thousands of vectors, not for a million numbers: the tests stay quick."""
    monkeypatch.setattr(tuning, "EXACT_NUMBERS", 1 << 12)
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
    assert index.params == vicinal.HNSWParams(vicinal.SQ4(), "float32")


@pytest.mark.usefixtures("small_counts_as_large")
def test_progress_is_told_and_may_stop(rows: Any) -> None:
    stages: list[str] = []
    vicinal.build(rows, recall=0.5, progress=lambda stage, done, total: stages.append(stage))
    assert "finding exact answers" in stages
    assert "choosing ef" in stages
    for last in ("finding exact answers", "choosing ef"):
        with pytest.raises(vicinal.CancelledError):
            vicinal.build(rows, recall=0.5, progress=lambda stage, *_, last=last: stage != last)


def flat_clouds(n: int, dim: int, wide: int, seed: int) -> Any:
    """Rows that vary in few directions, and a little in all others."""
    random = np.random.default_rng(seed)
    turned = np.linalg.qr(np.random.default_rng(0).standard_normal((dim, dim)))[0]
    spread = np.where(np.arange(dim) < wide, 1.0, 0.01)
    return ((random.standard_normal((n, dim)) * spread) @ turned + 3).astype(np.float32)


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_few_directions_are_walked_where_few_matter(metric: str, tmp_path: Path) -> None:
    rows, queries = flat_clouds(6000, 256, 40, 1), flat_clouds(400, 256, 40, 2)
    index = vicinal.build(rows, metric, recall=0.95, queries=queries[:200])
    assert isinstance(index, vicinal.HNSWIndex)
    assert index.transform is not None
    assert index.transform.out_dim == 64
    report = index.report
    assert report is not None
    assert report.reached
    assert report.codes == "256 -> 64, sq8"
    assert report.tried[0].codes == "sq4"
    assert ("sq8 of 64 directions", 80) in [one[:2] for one in report.tried]
    assert "sq8 of 64 directions: 80 bytes, " in str(report)
    want, _ = reference.nearest(queries[200:], rows, np.arange(6000), metric, 10)
    assert reference.shared(index.search(queries[200:], 10).ids, want) > 0.9
    # The same input, the same choice; kept in the file.
    again = vicinal.build(rows, metric, recall=0.95, queries=queries[:200], threads=1)
    assert again.report is not None
    assert again.report.tried == report.tried
    assert again.transform == index.transform
    index.save(tmp_path / "index")
    opened = vicinal.open(tmp_path / "index")
    assert opened.report == report
    assert opened.transform == index.transform


def test_directions_that_queries_need_are_kept() -> None:
    rows = flat_clouds(6000, 256, 40, 1)
    # Queries tell rows apart by what the leading directions leave out.
    random = np.random.default_rng(5)
    turned = np.linalg.qr(np.random.default_rng(0).standard_normal((256, 256)))[0]
    small = (rows - 3) @ turned.T
    small[:, :40] = 0
    queries = (1e5 * small[random.choice(6000, 300)] @ turned + 3).astype(np.float32)
    index = vicinal.build(rows, recall=0.5, queries=queries)
    assert index.transform is None
    assert index.report is not None
    assert index.report.codes in ("sq4", "sq8")


def test_inner_products_keep_all_directions() -> None:
    index = vicinal.build(flat_clouds(5000, 256, 40, 1), "ip", recall=0.5)
    assert index.transform is None


@pytest.mark.parametrize(
    "tried", [3, [[]], [["sq8", 1.5, 0.5]], [["sq8", True, 0.5]], [[8, 8, 0.5]], [["a", 8, "b"]]]
)
def test_a_report_of_what_was_not_tried_is_refused(tried: Any, normal: Any) -> None:
    report = vicinal.build(normal(400, 32)).report
    assert report is not None
    with pytest.raises(vicinal.ArgumentError, match="tried must hold"):
        vicinal.BuildReport.from_dict({**report.to_dict(), "tried": tried})


@pytest.mark.usefixtures("small_counts_as_large")
@pytest.mark.parametrize("place", [17, 7777])
def test_a_bad_row_is_named_by_its_place(rows: Any, place: int) -> None:
    bad = rows.copy()
    bad[place, 3] = np.nan
    with pytest.raises(vicinal.ArgumentError, match=rf"vectors: row {place}\b|row {place} "):
        vicinal.build(bad)
    with pytest.raises(vicinal.ArgumentError, match="queries"):
        vicinal.build(rows, queries=np.full((50, 32), np.nan))
    # Fewer rows than a sample takes, and but two queries.
    assert len(vicinal.build(rows[:200], recall=0.5)) == 200
    assert len(vicinal.build(rows, recall=0.5, queries=rows[:2])) == len(rows)
