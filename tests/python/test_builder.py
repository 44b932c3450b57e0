"""Linking vectors all at once or one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vicinal


def recall(index: Any, rows: Any, queries: Any, metric: str) -> float:
    truth = vicinal.FlatIndex(rows.shape[1], metric)
    truth.add(rows)
    want = truth.search(queries, 10).ids
    got = index.search(queries, 10, ef=64).ids
    pairs = zip(got, want, strict=True)
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in pairs]))


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_a_batch_is_as_good_as_insertion(normal: Any, metric: str) -> None:
    rows, queries = normal(5000, 16), normal(200, 16)
    made = {}
    for builder in ("insert", "batch"):
        index = vicinal.HNSWIndex(16, metric, codec="sq8", refine="float32", builder=builder)
        index.add(rows)
        made[builder] = recall(index, rows, queries, metric)
    assert made["batch"] >= made["insert"] - 0.02


def test_auto_links_many_scalar_codes_at_once(normal: Any) -> None:
    def stages(count: int, **given: Any) -> set[str]:
        told: set[str] = set()
        index = vicinal.HNSWIndex(8, **{"codec": "sq8", **given})
        index.add(normal(count, 8), progress=lambda stage, *_: told.add(stage))
        return told

    assert "building" in stages(4096)
    assert "building" in stages(4096, metric="cosine", codec="sq4")
    assert "building" in stages(100, builder="batch")
    assert "inserting" in stages(4095)
    assert "inserting" in stages(4096, codec="float32")
    assert "inserting" in stages(4096, metric="ip")
    assert "inserting" in stages(4096, builder="insert")


@pytest.mark.parametrize("builder", ["auto", "batch", "insert"])
def test_the_file_keeps_it(normal: Any, builder: str, tmp_path: Path) -> None:
    index = vicinal.HNSWIndex(8, builder=builder)
    index.add(normal(50, 8))
    index.save(tmp_path / "index")
    again = vicinal.open(tmp_path / "index")
    assert isinstance(again, vicinal.HNSWIndex)
    assert again.params == index.params
    assert again.params.builder == builder
    assert vicinal.HNSWIndex.from_params(8, "l2", again.params).params == index.params


def test_what_was_stopped_leaves_nothing(normal: Any) -> None:
    rows = normal(5000, 8)
    index = vicinal.HNSWIndex(8, codec="sq8")
    with pytest.raises(vicinal.CancelledError):
        index.add(rows, progress=lambda stage, *_: stage != "building")
    assert len(index) == 0
    index.add(rows)
    assert len(index) == 5000
    index.add(normal(10, 8))
    assert len(index) == 5010
