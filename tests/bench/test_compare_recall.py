"""The recall pass of bench/compare, with packages that stand in for two revisions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench.comparison import recall_pass
from bench.comparison.errors import CompareError
from bench.comparison.recall import K, Recall, kth_distance, prepare
from bench.comparison.rounds import SIDES

# Exact by numpy; one in ten ids wrong where `wrong` says so.
PACKAGE = """
import numpy as np
from types import SimpleNamespace

wrong = {wrong}

class FlatIndex:
    def __init__(self, dim, metric="l2", *, codec="float32", refine=None):
        self.metric = metric
    def add(self, rows, threads):
        self.rows = np.asarray(rows)
    def search(self, queries, k, ef=None, threads=1):
        if self.metric == "l2":
            far = ((queries[:, None].astype(float) - self.rows[None]) ** 2).sum(axis=2)
        else:
            long = np.linalg.norm(self.rows, axis=1) if self.metric == "cosine" else 1
            far = -(queries.astype(float) @ self.rows.T) / long
        ids = np.argsort(far, axis=1, kind="stable")
        if wrong:
            ids[:, k - 1] = ids[:, -1]
        return SimpleNamespace(ids=ids[:, :k].astype(np.int64))

HNSWIndex = FlatIndex
"""


def package(folder: Path, wrong: bool = False) -> Path:
    (folder / "vicinal").mkdir(parents=True)
    (folder / "vicinal" / "__init__.py").write_text(PACKAGE.format(wrong=wrong))
    return folder


@pytest.fixture(params=["l2", "ip", "cosine"])
def data(request, tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    base, query = draw.standard_normal((200, 8)), draw.standard_normal((30, 8))
    path = tmp_path / "made-up.npz"
    more = {} if request.param == "cosine" else {"metric": request.param}
    np.savez(path, base=base.astype(np.float16), queries=query.astype(np.float16), **more)
    out = tmp_path / "prepared.npz"
    facts = prepare(path, out)
    assert facts == {"data": "made-up", "rows": 200, "dim": 8, "queries": 30}
    with np.load(out) as file:
        assert str(file["metric"]) == request.param
    return out


def plain_distance(metric: str, a, b) -> float:
    if metric == "l2":
        return float(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)))
    dot = float(sum(x * y for x, y in zip(a, b, strict=True)))
    if metric == "ip":
        return -dot
    return 1 - dot / float(np.sqrt(sum(x * x for x in a)) * np.sqrt(sum(y * y for y in b)))


def test_the_distance_to_reach_is_that_of_plain_loops(data):
    with np.load(data) as file:
        base, query, kth, metric = (file[key] for key in ("base", "query", "kth", "metric"))
    rows, some = base.astype(float), query[:5].astype(float)
    for q, one in enumerate(some):
        ordered = sorted(plain_distance(str(metric), row, one) for row in rows)
        assert kth[q] == pytest.approx(ordered[K - 1], rel=1e-9)


def test_a_given_truth_is_used():
    draw = np.random.default_rng(1)
    base, query = draw.random((50, 4), np.float32), draw.random((3, 4), np.float32)
    truth = np.tile(np.arange(K), (3, 1))
    want = ((base[None, :K].astype(float) - query[:, None]) ** 2).sum(axis=2).max(axis=1)
    assert kth_distance(base, query, "l2", truth) == pytest.approx(want)


def test_recall_by_hand():
    ids = np.array([[0, 1], [0, 0], [2, -1], [5, 6]])
    away = np.array([[1.0, 2.0], [1.0, 1.0], [2.0, np.inf], [2.0, 2.1]])
    # Ties with the true second count, the same row twice counts once, a missing place not at all.
    assert recall_pass.recall(ids, away, np.full(4, 2.0)) == pytest.approx((2 + 1 + 1 + 1) / 8)


def test_equal_programs_give_equal_answers(tmp_path, data):
    home = package(tmp_path / "a")
    recall = Recall(data, dict.fromkeys(SIDES, home))
    for side in SIDES:
        seconds = recall.measure(side)
        assert {"HNSW f32 build", "HNSW sq8+f16 ef=64", "Flat f32 batch"} <= set(seconds)
        assert all(value >= 0 for value in seconds.values())
    assert len(recall.names()) == 7
    for name in recall.names():
        answers = {recall.answers[(side, name)][0].digest for side in SIDES}
        assert len(answers) == 1
        assert recall.answers[("head", name)][0].recall == 1.0
    assert recall.unsteady() == []


def test_wrong_answers_show(tmp_path, data):
    base, head = package(tmp_path / "a"), package(tmp_path / "b", wrong=True)
    recall = Recall(data, {"base": base, "head": head, "again": head}, wall=True)
    for side in SIDES:
        recall.measure(side)
    for name in recall.names():
        (right,), (other,) = recall.answers[("base", name)], recall.answers[("head", name)]
        assert (right.recall, other.recall) == (1.0, 0.9)
        assert right.digest != other.digest
    assert recall.unsteady() == recall.names()  # BASE's second run was made to differ


def test_a_revision_that_raises_is_named(tmp_path, data):
    home = package(tmp_path / "a")
    (home / "vicinal" / "__init__.py").write_text("raise RuntimeError('no index in here')")
    with pytest.raises(CompareError, match="the recall pass of HEAD failed") as error:
        Recall(data, dict.fromkeys(SIDES, home)).measure("head")
    assert "no index in here" in error.value.details


def test_another_vicinal_than_the_one_built_is_refused(tmp_path, data, monkeypatch):
    elsewhere = package(tmp_path / "installed")
    empty = tmp_path / "empty"
    empty.mkdir()
    # As an editable installation does: it comes first, whatever PYTHONPATH says.
    (empty / "sitecustomize.py").write_text(f"import sys; sys.path.insert(0, {str(elsewhere)!r})")
    with pytest.raises(CompareError) as error:
        Recall(data, dict.fromkeys(SIDES, empty)).measure("base")
    assert f"not the one in {empty.resolve()}" in error.value.details
