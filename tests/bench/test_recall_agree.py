"""Two runs beside one another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench.recall import agree


def results(path: Path, run: str, **ratios: float) -> Path:
    lines = [{"kind": "run", "run": run}]
    lines += [
        {"kind": "ratio", "run": run, "data": "d", "contender": name, "reference": "hnswlib",
         "target": 0.95, "ratio": ratio}
        for name, ratio in ratios.items()
    ]  # fmt: skip
    with path.open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return path


def test_near_ratios_agree_and_far_or_missing_ones_do_not(tmp_path: Path) -> None:
    first = results(tmp_path / "a", "1", near=2.0, far=2.0, gone=1.0)
    second = results(tmp_path / "b", "2", near=2.19, far=2.21)
    rows, bad = agree.compare(agree.ratios(first), agree.ratios(second), 0.10)
    verdicts = {row[1]: row[-1] for row in rows[1:]}
    assert verdicts == {"near": "", "far": "too far", "gone": "too far"}
    assert bad == 2


def test_only_the_last_run_of_a_file_counts(tmp_path: Path) -> None:
    path = results(tmp_path / "a", "1", one=1.0, two=2.0)
    results(path, "2", one=3.0)
    assert agree.ratios(path) == {("d", "one", "hnswlib", 0.95): 3.0}


def test_a_file_without_a_run_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(ValueError, match="holds no run"):
        agree.ratios(tmp_path / "a")
