"""What bench.scan compares: the rows it asks for, the queries it sends, the line it prints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from bench.scan import __main__ as scan


def write_data(path: Path) -> Path:
    random = np.random.default_rng(0)
    base = random.standard_normal((50, 4)).astype(np.float32)
    query = random.standard_normal((5, 4)).astype(np.float32)
    gt = ((query[:, None] - base[None]) ** 2).sum(axis=2).argsort(axis=1)[:, :10]
    np.savez(path, base=base, query=query, gt=gt, metric="l2")
    return path


def test_random_rows_without_data() -> None:
    rows, queries, data = scan.rows_of(scan.arguments(["--rows", "70", "--dim", "6"]))
    assert rows.shape == (70, 6)
    assert queries.shape[1] == 6
    assert data is None


def test_data_are_repeated_and_then_have_no_truth(tmp_path: Path) -> None:
    path = write_data(tmp_path / "few.npz")
    rows, _, data = scan.rows_of(scan.arguments([str(path), "--rows", "120"]))
    assert rows.shape == (120, 4)
    assert (rows[50:100] == rows[:50]).all()
    assert data is None
    rows, _, data = scan.rows_of(scan.arguments([str(path), "--rows", "10"]))
    assert rows.shape == (50, 4)
    assert data is not None


@pytest.mark.parametrize("batch", [1, 3, 9])
def test_a_turn_sends_whole_batches_and_counts_queries(batch: int) -> None:
    queries = np.arange(9, dtype=np.float32).reshape(9, 1)
    sent: list[int] = []

    def search(some: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        sent.append(len(some))
        return np.zeros((len(some), scan.K), np.int64)

    assert scan.turn(search, queries, batch, seconds=0.0) > 0
    assert sent == [batch]
    scan.turn(search, queries, batch, seconds=0.005)
    assert set(sent) == {batch}


def test_both_sides_and_their_recall_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_data(tmp_path / "few.npz")
    truth = np.load(path)["gt"]
    base = np.load(path)["base"]

    def exact(rows: object, metric: str, name: str) -> scan.Search:
        return lambda queries: (
            ((queries[:, None] - base[None]) ** 2).sum(axis=2).argsort(axis=1)[:, :10]
        )

    def wrong(rows: object, metric: str, name: str) -> scan.Search:
        return lambda queries: np.repeat(truth[:1, :1], len(queries) * 10).reshape(-1, 10)

    monkeypatch.setattr(scan, "vicinal_search", exact)
    monkeypatch.setattr(scan, "faiss_search", wrong)
    scan.main([str(path), "--rows", "50", "--parts", "2", "--rounds", "1", "--seconds", "0",
               "--batch", "2", "--no-rabitq"])  # fmt: skip
    line = capsys.readouterr().out
    assert "pq2x4 / PQ2x4fs" in line
    assert "recall@10 1.0000 / 0." in line
