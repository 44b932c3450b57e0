"""calibrate() and search(recall=): whether the recall declared is the recall that comes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference

import vicinal
from vicinal import _judge


@pytest.fixture(scope="module")
def rows() -> Any:
    """Clustered, as embeddings are."""
    rng = np.random.default_rng(5)
    centres = rng.standard_normal((40, 24)) * 2
    data = centres[rng.integers(0, 40, 6_000)] + rng.standard_normal((6_000, 24))
    return data.astype(np.float32)


@pytest.fixture(scope="module")
def queries(rows: Any) -> Any:
    """Of another distribution: nearer the middle than rows are."""
    rng = np.random.default_rng(6)
    some = rows[rng.integers(0, len(rows), 1_200)]
    return (0.8 * some + 0.7 * rng.standard_normal(some.shape)).astype(np.float32)


@pytest.fixture(scope="module")
def index(rows: Any) -> Any:
    made = vicinal.HNSWIndex(24, codec="sq8", refine="float16", links=6, build_ef=40)
    made.add(rows, ids=np.arange(len(rows)) * 3)
    return made


class _Asked:
    """Queries and what is true of them."""

    def __init__(self, rows: Any, queries: Any, k: int, metric: str = "l2") -> None:
        self.queries, self.k = queries, k
        self.places = np.arange(len(rows))
        self._exact = reference.distances(queries, rows, metric)
        self._limit = np.sort(self._exact, axis=1)[:, k - 1 : k] + 1e-9

    def recall(self, index: Any, **how: Any) -> float:
        found = self.places[index.search(self.queries, self.k, **how).ids // 3]
        return float((np.take_along_axis(self._exact, found, axis=1) <= self._limit).mean())


@pytest.mark.parametrize("k", [1, 10])
def test_the_recall_declared_comes_true_on_other_queries(
    index: Any, rows: Any, queries: Any, k: int
) -> None:
    calibration = index.calibrate(queries[:600], k=[1, 10])
    assert index.calibration is calibration
    assert (calibration.rows, calibration.queries, calibration.source) == (6000, 600, "queries")
    asked = _Asked(rows, queries[600:], k)
    for declared in (0.8, 0.9, 0.95):
        got = asked.recall(index, recall=declared)
        # 300 queries chose, 600 are asked now. More than declared: ef is a whole number, and at
        # least k.
        deviation = 3 * np.sqrt(declared * (1 - declared) * (1 / 300 + 1 / 600))
        assert got > declared - deviation
        ef, slack = calibration.effort(k, declared)
        assert slack is not None
        less = asked.recall(index, ef=max(k, ef // 2), slack=slack / 2)
        assert less < declared + deviation
    # Less recall is asked for with less effort.
    # Ending by slack saves work: as much is found with fewer comparisons than by ef alone.
    ef, slack = calibration.effort(k, 0.95)
    found = asked.recall(index, ef=ef, slack=slack)
    fixed = next(e for e in range(k, 400, 3) if asked.recall(index, ef=e) >= found)
    by_ef = index.search_stats(asked.queries, k, ef=fixed).distances
    assert index.search_stats(asked.queries, k, ef=ef, slack=slack).distances < by_ef
    work = [index.search_stats(queries, k, recall=r).distances for r in (0.5, 0.9, 0.99)]
    assert work == sorted(work)
    assert work[0] < work[-1]


def test_what_is_measured_is_the_recall(index: Any, rows: Any, queries: Any) -> None:
    """The two halves, drawn again here, searched again here."""
    calibration = index.calibrate(queries, k=10, seed=11, vectors=rows)
    drawn = np.random.default_rng(11).choice(len(queries), size=len(queries), replace=False)
    curve = calibration.curves[0]
    assert len(curve.ef) > 3
    first, second = (_Asked(rows, queries[half], 10) for half in (drawn[:600], drawn[600:]))
    for place, (fitted, checked) in enumerate(zip(curve.fitted, curve.checked, strict=True)):
        how = curve.at(place)._asdict()
        assert first.recall(index, **how) == pytest.approx(fitted)
        assert second.recall(index, **how) == pytest.approx(checked)
    # Among the vectors as float16, which may order two neighbours otherwise.
    stored = index.calibrate(queries, k=10, seed=11).curves[0]
    assert stored.fitted == pytest.approx(curve.fitted, abs=0.003)
    assert stored.fitted != curve.fitted


def test_rows_are_looked_for_without_themselves(index: Any) -> None:
    calibration = index.calibrate(k=1, recall=0.5)
    assert calibration.source == "rows"
    # Each row finds itself at once: were it counted, ef 1 would give nearly 1.
    assert calibration.curves[0].fitted[0] < 0.9


def test_rows_are_looked_for_as_if_they_had_not_been_added(index: Any, rows: Any) -> None:
    """Without the links of a row, it is no easier to find than a new one."""
    other = np.ones(len(rows), bool)
    other[::10] = False
    fewer = vicinal.HNSWIndex(24, codec="sq8", refine="float16", links=6, build_ef=40)
    fewer.add(rows[other], ids=np.flatnonzero(other) * 3)
    asked = _Asked(rows[other], rows[~other], 10)
    asked.places = np.cumsum(other) - 1
    index.calibrate(k=10, recall=0.95)
    for declared in (0.8, 0.9):
        effort = index.calibration.effort(10, declared)._asdict()
        assert asked.recall(fewer, **effort) > declared - 0.03


def test_it_is_kept_in_the_file_and_the_same_again(
    index: Any, queries: Any, tmp_path: Path
) -> None:
    calibration = index.calibrate(queries, seed=3, threads=1)
    assert index.calibrate(queries, seed=3, threads=3) == calibration
    index.save(tmp_path / "a.vicinal")
    again = vicinal.open(tmp_path / "a.vicinal")
    assert isinstance(again, vicinal.HNSWIndex)
    assert again.calibration == calibration
    assert np.array_equal(
        again.search(queries, recall=0.9).ids, index.search(queries, recall=0.9).ids
    )
    assert vicinal.Calibration.from_dict(json.loads(json.dumps(calibration.to_dict()))) == (
        calibration
    )


@pytest.mark.parametrize("metric", ["ip", "cosine"])
def test_other_metrics(rows: Any, queries: Any, metric: str) -> None:
    made = vicinal.HNSWIndex(24, metric, codec="sq8", refine="float32", links=8, build_ef=60)
    made.add(rows, ids=np.arange(len(rows)) * 3)
    calibration = made.calibrate(queries[:600], recall=0.9)
    assert (calibration.curves[0].slack is None) == (metric == "ip")
    if metric == "ip":
        with pytest.raises(vicinal.ArgumentError, match="slack must be None"):
            made.slack = 0.1
        with pytest.raises(vicinal.ArgumentError, match="slack is given"):
            made.search(queries[0], slack=0.1)
    else:
        made.slack = 0.1
        assert (
            made.search_stats(queries, 10).distances
            < made.search_stats(queries, 10, ef=64).distances
        )
        for bad in (-1, float("nan"), 1001):
            with pytest.raises(vicinal.ArgumentError, match="slack"):
                made.slack = bad
            with pytest.raises(vicinal.ArgumentError, match="slack"):
                made.search(queries[0], slack=bad)
        with pytest.raises(TypeError, match="slack must be a number"):
            made.slack = "much"
    got = _Asked(rows, queries[600:], 10, metric).recall(made, recall=0.85)
    assert got > 0.85 - 3 * np.sqrt(0.85 * 0.15 * (1 / 300 + 1 / 600))


def test_removed_vectors_do_not_count(rows: Any, queries: Any) -> None:
    made = vicinal.HNSWIndex(24, links=8, build_ef=60)
    made.add(rows)
    made.remove(np.arange(0, len(rows), 3))
    made.calibrate(queries[:600], recall=0.9)
    assert made.calibration is not None
    assert made.calibration.rows == 4_000
    left = np.delete(rows, np.arange(0, len(rows), 3), axis=0)
    limit = np.sort(reference.distances(queries[600:], left, "l2"), axis=1)[:, 9:10]
    found = made.search(queries[600:], 10, recall=0.9).ids
    true = np.take_along_axis(reference.distances(queries[600:], rows, "l2"), found, axis=1)
    assert (true <= limit + 1e-9).mean() > 0.9 - 3 * np.sqrt(0.09 * (1 / 300 + 1 / 600))


def test_an_index_that_has_changed_much_is_warned_of(rows: Any, queries: Any) -> None:
    made = vicinal.HNSWIndex(24, links=8, build_ef=60)
    made.add(rows[:4_000])
    made.calibrate(queries, recall=0.9)
    made.add(rows[4_000:4_700])
    made.search(queries[0], recall=0.9)  # no warning: an error in these tests
    made.add(rows[4_700:5_000])
    with pytest.warns(vicinal.RecallWarning, match="4,000 vectors, there are 5,000 now"):
        made.search(queries[0], recall=0.9)


def test_what_cannot_be_asked(index: Any, rows: Any, queries: Any) -> None:
    fresh = vicinal.HNSWIndex(24)
    with pytest.raises(vicinal.ArgumentError, match=r"not calibrated: call calibrate\(\)"):
        fresh.search(queries[0], recall=0.9)
    with pytest.raises(vicinal.ArgumentError, match="the index has 0 vectors"):
        fresh.calibrate()
    fresh.add(rows[:1])
    with pytest.raises(vicinal.ArgumentError, match="the index has 1 vectors"):
        fresh.calibrate(queries)
    index.calibrate(queries, k=5, recall=0.9)
    kept = index.calibration
    bad: list[tuple[type, str, dict[str, Any]]] = [
        (vicinal.ArgumentError, "queries has 1 rows", {"queries": queries[:1]}),
        (vicinal.ArgumentError, "queries has 1 dimensions", {"queries": queries[0]}),
        (vicinal.DimensionError, "queries has 3 columns; wanted 24", {"queries": queries[:, :3]}),
        (vicinal.ArgumentError, "k must be from 1", {"k": 0}),
        (vicinal.ArgumentError, "k has 0 entries", {"k": []}),
        (vicinal.ArgumentError, "k is 4097; calibrating goes up to 4096", {"k": [3, 4097]}),
        (TypeError, "k must be an integer", {"k": "10"}),
        (vicinal.ArgumentError, "recall must be below 1", {"recall": 1.0}),
        (vicinal.ArgumentError, "recall must be above 0", {"recall": -0.1}),
        (TypeError, "recall must be a number", {"recall": "0.9"}),
        (vicinal.ArgumentError, "seed", {"seed": -1}),
        (vicinal.DimensionError, r"shape \(5, 24\); wanted \(6000, 24\)", {"vectors": rows[:5]}),
        (vicinal.ArgumentError, "NaN|nan", {"queries": np.full((4, 24), np.nan)}),
    ]
    for error, words, how in bad:
        with pytest.raises(error, match=words):
            index.calibrate(**how)
        assert index.calibration is kept
    for name, value in (("ef", 20), ("slack", 0.1)):
        with pytest.raises(vicinal.ArgumentError, match=f"{name} and recall are both given"):
            index.search(queries[0], 5, recall=0.9, **{name: value})
    with pytest.raises(vicinal.ArgumentError, match=r"up to 5: calibrate\(k=6\)"):
        index.search(queries[0], 6, recall=0.9)
    with pytest.raises(vicinal.ArgumentError, match=r"0.99999 was not reached for k 5"):
        index.search(queries[0], 5, recall=0.99999)
    with pytest.raises(vicinal.ArgumentError, match="recall must be above 0"):
        index.search(queries[0], 5, recall=float("nan"))
    stopped: list[str] = []

    def stop(stage: str, done: int, total: int) -> bool:
        stopped.append(stage)
        return stage != "measuring recall"

    with pytest.raises(vicinal.CancelledError, match="measuring recall"):
        index.calibrate(queries, progress=stop)
    assert index.calibration is kept
    assert "finding exact answers" in stopped


def test_vectors_go_by_the_order_of_ids(rows: Any, queries: Any) -> None:
    made = vicinal.HNSWIndex(24, codec="sq8", links=8, build_ef=60)
    names = np.random.default_rng(8).permutation(len(rows))
    made.add(rows, ids=names)
    made.reorder()
    ordered = rows[np.argsort(names)[made.ids]]
    given = made.calibrate(queries, vectors=ordered, recall=0.9)
    assert given.curves[0].fitted[-1] >= 0.9
    assert given.curves[0].fitted == pytest.approx(
        made.calibrate(queries, recall=0.9).curves[0].fitted, abs=0.05
    )


def test_few_vectors(rows: Any) -> None:
    made = vicinal.HNSWIndex(24)
    made.add(rows[:7])
    calibration = made.calibrate(k=[3, 10])
    assert [curve.fitted[-1] for curve in calibration.curves] == [1.0, 1.0]
    assert made.search(rows[:2], 10, recall=0.9).ids.shape == (2, 10)


def test_more_effort_without_gain_ends(
    rows: Any, queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Codes too coarse for the recall: the ladder must not go on to the largest ef."""
    made = vicinal.HNSWIndex(24, codec="sq4", links=8, build_ef=60)
    made.add(rows)
    tried: list[int] = []
    recall = _judge.Judge.recall

    def watched(self: Any, index: Any, k: int, effort: Any, part: int) -> float:
        tried.append(effort.ef)
        return recall(self, index, k, effort, part)

    monkeypatch.setattr(_judge.Judge, "recall", watched)
    calibration = made.calibrate(queries[:200], recall=0.999, vectors=rows)
    assert max(tried) < _judge.LARGEST_EF
    with pytest.raises(vicinal.ArgumentError, match=r"0\.999 was not reached"):
        calibration.effort(10, 0.999)


def test_between_two_measurements() -> None:
    curve = {
        "k": 10,
        "ef": [10, 40, 80, 160],
        "slack": [0.0, 0.04, 0.05, 0.1],
        "fitted": [0.5, 0.9, 0.88, 0.99],
        "checked": [0.5, 0.9, 0.88, 0.95],
    }
    values = {"rows": 9, "queries": 9, "source": "rows", "curves": [curve]}
    calibration = vicinal.Calibration.from_dict(values)
    assert calibration.effort(10, 0.3) == (10, 0.0)
    # Odds of 1 and 9: those of 3 lie half way, in logarithms.
    assert calibration.effort(10, 0.75) == (20, pytest.approx(0.02))
    assert calibration.effort(10, 0.9) == (40, 0.04)
    ef, slack = calibration.effort(10, 0.91)  # a dip counts as no gain
    assert 80 < ef < 160
    assert slack is not None
    assert 0.05 < slack < 0.1
    assert calibration.effort(10, 0.99) == (160, 0.1)
    without = vicinal.Calibration.from_dict({**values, "curves": [{**curve, "slack": None}]})
    assert without.effort(10, 0.75) == (20, None)


def test_a_file_that_lies_is_refused(index: Any, queries: Any) -> None:
    good = index.calibrate(queries, recall=0.9).to_dict()
    curve = good["curves"][0]
    bad: list[tuple[str, Any]] = [
        ("must be an object", []),
        ("lacks or does not know: rows", {k: v for k, v in good.items() if k != "rows"}),
        ("lacks or does not know: odd", {**good, "odd": 1}),
        ("source is 'x'", {**good, "source": "x"}),
        ("curves must be a list", {**good, "curves": []}),
        ("k of the curves must ascend", {**good, "curves": [curve, curve]}),
        ("rows must be an integer", {**good, "rows": 1.5}),
        ("a curve must be an object", {**good, "curves": [3]}),
        ("must be lists", {**good, "curves": [{**curve, "ef": []}]}),
        ("must be equally long", {**good, "curves": [{**curve, "ef": [*curve["ef"], 9999]}]}),
        ("slack must not descend", {**good, "curves": [{**curve, "slack": curve["slack"][::-1]}]}),
        (
            "slack must be from 0 to 1000",
            {**good, "curves": [{**curve, "slack": [float("nan")] * len(curve["ef"])}]},
        ),
        ("ef must ascend", {**good, "curves": [{**curve, "ef": curve["ef"][::-1]}]}),
        (
            "fitted must be from 0 to 1",
            {**good, "curves": [{**curve, "fitted": [2.0] * len(curve["ef"])}]},
        ),
        ("k must be from 1", {**good, "curves": [{**curve, "k": 0}]}),
    ]
    for words, values in bad:
        with pytest.raises((vicinal.ArgumentError, TypeError), match=words):
            vicinal.Calibration.from_dict(values)
