"""Rows of bits: against an exhaustive search by numpy, through files, and what is refused."""

from __future__ import annotations

import copy
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import vicinal
from vicinal import binary
from vicinal.cli import app

Matrix = npt.NDArray[Any]
Error = vicinal.ArgumentError


def distances(queries: Matrix, rows: Matrix, metric: str) -> npt.NDArray[np.float32]:
    """Of bool rows; shape (q, n)."""
    apart = (queries[:, None, :] != rows[None, :, :]).sum(axis=2)
    if metric == "hamming":
        return apart.astype(np.float32)
    either = (queries[:, None, :] | rows[None, :, :]).sum(axis=2)
    found: npt.NDArray[np.float32] = (apart / np.maximum(either, 1)).astype(np.float32)
    return found


def nearest(
    queries: Matrix, rows: Matrix, ids: Matrix, metric: str, k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    found_ids = np.full((len(queries), k), -1, np.int64)
    found = np.full((len(queries), k), np.inf, np.float32)
    for i, row in enumerate(distances(queries, rows, metric)):
        order = np.lexsort((ids, row))[:k]
        found_ids[i, : len(order)] = ids[order]
        found[i, : len(order)] = row[order]
    return found_ids, found


def some_bits(n: int, dim: int, seed: int = 0) -> npt.NDArray[np.bool_]:
    """Rows of few to many bits, some of them empty or repeated."""
    rng = np.random.default_rng(seed)
    share = rng.random((n, 1)) ** 2 * (rng.random((n, 1)) > 0.1)
    rows: npt.NDArray[np.bool_] = rng.random((n, dim)) < share
    rows[n // 2 : n // 2 + n // 5] = rows[: n // 5]
    return rows


@st.composite
def cases(draw: st.DrawFn) -> tuple[Matrix, Matrix, Matrix, str, int]:
    dim, n = draw(st.integers(1, 200)), draw(st.integers(1, 60))
    seed = draw(st.integers(0, 2**32 - 1))
    rows, queries = some_bits(n, dim, seed), some_bits(draw(st.integers(1, 20)), dim, seed + 1)
    ids = np.random.default_rng(seed).choice(10 * n, n, replace=False).astype(np.int64)
    metric = draw(st.sampled_from(["hamming", "jaccard"]))
    return rows, queries, ids, metric, draw(st.integers(1, 70))


@given(cases(), st.sampled_from(["bool", "packed", "strided", "columns reversed", "list"]))
def test_equals_exhaustive_search(case: Any, form: str) -> None:
    rows, queries, ids, metric, k = case
    packed: Any = np.packbits(rows, axis=1)
    if form == "strided":
        packed = np.repeat(np.repeat(packed, 3, axis=0), 2, axis=1)[::3, ::2]
    elif form == "columns reversed":
        packed = packed[:, ::-1].copy()[:, ::-1]
    index = vicinal.BinaryIndex(rows.shape[1], metric)
    index.add(rows.tolist() if form == "list" else rows if form == "bool" else packed, ids)
    got = index.search(np.packbits(queries, axis=1), k)
    want_ids, want = nearest(queries, rows, ids, metric, k)
    assert got.ids.dtype == np.int64
    assert got.distances.dtype == np.float32
    assert np.array_equal(got.ids, want_ids)
    assert np.array_equal(got.distances, want)
    assert np.array_equal(index.ids, np.sort(ids))
    assert np.array_equal(index.get(int(ids[0])), np.packbits(rows[0]))


@given(cases(), st.booleans(), st.integers(0, 2**32))
def test_allow_and_radius_restrict(case: Any, by_mask: bool, seed: int) -> None:
    rows, queries, ids, metric, k = case
    mask = np.random.default_rng(seed).random(8 * len(ids)) < 0.5
    kept = np.array([i < len(mask) and mask[i] for i in ids], bool)
    allow: Any = mask if by_mask else [*ids[kept], *ids[kept][:1], 10**12]
    index = vicinal.BinaryIndex(rows.shape[1], metric)
    index.add(rows, ids)
    got = index.search(queries, k, allow=allow)
    want_ids, want = nearest(queries, rows[kept], ids[kept], metric, k)
    assert np.array_equal(got.ids, want_ids)
    assert np.array_equal(got.distances, want)
    all_ids, everything = nearest(queries, rows[kept], ids[kept], metric, len(ids))
    radius = float(np.random.default_rng(seed).choice(everything.ravel()))
    within = index.range_search(queries, radius, allow=allow)
    for i in range(len(queries)):
        near = (everything[i] <= radius) & (all_ids[i] >= 0)
        assert np.array_equal(within.of(i)[0], all_ids[i][near])
        assert np.array_equal(within.of(i)[1], everything[i][near])


@pytest.mark.parametrize("metric", ["hamming", "jaccard"])
@pytest.mark.parametrize("mode", ["map", "load"])
def test_files_copies_and_pickles(metric: str, mode: Any, tmp_path: Path) -> None:
    rows, queries = some_bits(900, 300), some_bits(9, 300, seed=1)
    index = vicinal.BinaryIndex(300, metric)
    index.add(rows, ids=np.arange(900) * 3 + 1)
    index.remove([4, 7])
    want = index.search(queries, 7)
    path = tmp_path / "bits.vicinal"
    index.save(path)
    vicinal.verify(path)
    again = vicinal.open(path, mode)
    assert isinstance(again, vicinal.BinaryIndex)
    assert repr(again) == f"<vicinal.BinaryIndex of 898 rows: 300 bits, {metric}, exact>"
    assert (again.dim, again.metric, len(again)) == (300, metric, 898)
    report = again.memory()
    assert report["codes"] == -(-900 // 8) * 8 * 40  # five words a row, whole blocks of eight
    # Who is removed, a bit a row, lies in memory.
    assert report.allocated == (report["removed rows"] if mode == "map" else report.total)
    for other in (again, copy.deepcopy(again), pickle.loads(pickle.dumps(index))):
        got = other.search(queries, 7)
        assert np.array_equal(got.ids, want.ids)
        assert np.array_equal(got.distances, want.distances)
    before = path.read_bytes()
    again.add(rows[:2])
    assert len(again) == 900
    assert path.read_bytes() == before
    about = vicinal.info(path)
    assert about.kind == "binary"
    assert {"segments", "codes", "removed"} <= {section.name for section in about.sections}

    shown = CliRunner().invoke(app, ["info", str(path)])
    assert shown.exit_code == 0
    assert "binary, format 1" in shown.output
    assert metric in shown.output
    np.save(tmp_path / "queries.npy", np.packbits(queries, axis=1))
    found = CliRunner().invoke(
        app, ["search", str(path), str(tmp_path / "queries.npy"), "-k", "2", "--format", "table"]
    )
    assert found.exit_code == 0, found.output
    assert str(want.ids[0, 0]) in found.output
    assert CliRunner().invoke(app, ["verify", str(path)]).exit_code == 0


def test_threads_change_nothing_and_searches_go_on() -> None:
    rows, queries = some_bits(3000, 512), some_bits(40, 512, seed=1)
    for metric in ("hamming", "jaccard"):
        index = vicinal.BinaryIndex(512, metric)
        index.add(rows[:2000], threads=2)
        want = index.search(queries, 10, threads=1)
        for threads in (2, 5):
            got = index.search(queries, 10, threads=threads)
            assert np.array_equal(got.ids, want.ids)
            assert np.array_equal(got.distances, want.distances)
        failures: list[str] = []

        def keep_searching(index: vicinal.BinaryIndex = index, failures: Any = failures) -> None:
            for _ in range(60):
                hits = index.search(rows[:5], 3)
                if (hits.distances[:, 0] != 0).any():
                    failures.append(str(hits))

        thread = threading.Thread(target=keep_searching)
        thread.start()
        for begin in range(2000, 3000, 50):
            index.add(rows[begin : begin + 50])
            index.remove([begin])
        thread.join()
        assert not failures
        assert len(index) == 2980


def test_progress_can_stop_an_addition() -> None:
    index = vicinal.BinaryIndex(4096)
    rows = np.zeros((40_000, 512), np.uint8)
    with pytest.raises(vicinal.CancelledError):
        index.add(rows, progress=lambda stage, done, total: False)
    assert len(index) == 0


BAD_ROWS: list[tuple[Any, type[Exception], str]] = [
    (np.zeros((2, 4), np.uint8), vicinal.DimensionError, "{} has 4 columns; .* 20 bits in 3 bytes"),
    (np.zeros((2, 21), bool), vicinal.DimensionError, "{} has 21 columns of bool; .* 20 bits"),
    (np.array([[0, 0, 0], [0, 0, 1]], np.uint8), Error, "{}: row 1 has bits set beyond the 20"),
    (np.zeros((1, 2, 3), np.uint8), Error, "{} has 3 dimensions; wanted 2"),
    (np.True_, Error, "{} has 0 dimensions; wanted 2"),
    (np.zeros((2, 3)), TypeError, "{} holds float64; wanted packed bits as uint8"),
    ([[1, 2, 3]], TypeError, "{} holds int64; wanted packed bits"),
    (None, TypeError, "{} holds object; wanted"),
]


@pytest.mark.parametrize("case", range(len(BAD_ROWS)))
def test_bad_rows_are_refused(case: int) -> None:
    bad, error, text = BAD_ROWS[case]
    index = vicinal.BinaryIndex(20)
    index.add(some_bits(5, 20))
    with pytest.raises(error, match=text.format("vectors")):
        index.add(bad)
    with pytest.raises(error, match=text.format("queries")):
        index.search(bad, 1)
    with pytest.raises(error, match=text.format("queries")):
        index.range_search(bad, 1)
    assert len(index) == 5


def test_other_mistakes_are_refused() -> None:
    rows = some_bits(5, 20)
    index = vicinal.BinaryIndex(20)
    index.add(rows)
    for call, error, text in (
        (lambda: vicinal.BinaryIndex(0), Error, "dim must be from 1 to 262144, got 0"),
        (lambda: vicinal.BinaryIndex(8, "l2"), Error, "metric must be one of 'hamming', 'jaccard'"),
        (lambda: vicinal.BinaryIndex(8, 1), TypeError, "metric must be a string"),
        (lambda: index.add(rows, ids=[1, 2]), Error, "ids has 2 entries"),
        (lambda: index.add(rows, ids=range(3, 8)), Error, r"ids\[0\] is 3, which this index"),
        (lambda: index.remove([9]), Error, r"ids\[0\] is 9, which this index does not hold"),
        (lambda: index.get(9), Error, "id 9 is not in this index"),
        (lambda: index.search(rows, 0), Error, "k must be from 1"),
        (lambda: index.search(rows, allow=[1.5]), TypeError, "allow holds float64"),
        (lambda: index.search(rows, threads=0), Error, "threads must be from 1"),
        (lambda: index.range_search(rows, np.nan), Error, "radius must be a number, got nan"),
        (lambda: index.rescore(np.zeros((5, 19)), np.zeros((5, 1), int)), Error, "has 19 columns"),
        (lambda: index.rescore(np.zeros((5, 20)), np.zeros((4, 1), int)), Error, "ids has 4 rows"),
        (lambda: index.rescore(np.full((5, 20), np.inf), np.zeros((5, 1), int)), Error, "row 0"),
        (lambda: index.rescore(np.zeros((5, 20)), np.zeros((5, 1))), TypeError, "ids holds float"),
        (lambda: index.rescore(np.zeros((5, 20)), 3), Error, "ids has 0 dimensions; wanted 2"),
        (lambda: binary.pack([[np.nan]]), Error, "vectors.*row 0.*nan"),
        (lambda: binary.pack(np.empty((3, 0))), Error, "vectors has 0 columns"),
        (lambda: binary.pack([[1.0]], "max"), Error, "threshold must be 'zero', 'mean', 'median'"),
        (lambda: binary.pack([[1.0]], [1.0, 2.0]), Error, "threshold has 2 entries"),
        (lambda: binary.pack([[1.0]], [np.nan]), Error, "threshold holds NaN"),
        (lambda: binary.thresholds(np.empty((0, 3))), Error, "vectors has no rows"),
        (lambda: binary.thresholds([[1.0]], "zero"), Error, "threshold must be one of 'mean'"),
        (lambda: binary.rerank(np.zeros((1, 3)), np.zeros((2, 4)), [[0]]), Error, "has 3 columns"),
        (lambda: binary.rerank([[1.0]], [[1.0]], [[1]]), Error, "ids names row 1; vectors has 1"),
        (lambda: binary.rerank([[1.0]], [[np.nan]], [[0]], metric="ip"), Error, "vectors: row 0"),
        (lambda: binary.rerank([[1.0]], [[0.0]], [[0]]), Error, "vectors: row 0 is zero"),
        (lambda: binary.rerank([[1.0]], [[1.0]], [[0]], metric="x"), Error, "metric must be one"),
        (lambda: binary.search_rescored(index, np.ones(20), threshold="mean"), Error, "'zero' or"),
        (lambda: binary.search_rescored(index, np.ones(20), metric="x"), Error, "metric must be"),
        (lambda: binary.search_rescored(index, np.ones(20), candidates=9), Error, "at least k"),
        (lambda: binary.search_rescored(index, np.ones(20), survivors=9), Error, "at least k"),
    ):
        with pytest.raises(error, match=text):
            call()
    assert len(index) == 5


@given(st.integers(1, 70), st.integers(1, 60), st.integers(0, 2**32 - 1), st.data())
def test_packing_is_that_of_numpy(dim: int, n: int, seed: int, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(["float32", "float64", "float16", "int8"]))
    rows = np.random.default_rng(seed).integers(-4, 5, (n, dim)).astype(dtype)
    wide = rows.astype(np.float64)
    assert np.array_equal(binary.pack(rows), np.packbits(wide > 0, axis=1))
    # Sums of small whole numbers are exact, and the mean is rounded once.
    mean = (wide.sum(axis=0) / n).astype(np.float32)
    assert np.array_equal(binary.thresholds(rows, "mean"), mean)
    median = np.median(wide, axis=0).astype(np.float32)
    assert np.array_equal(binary.thresholds(rows), median)
    assert np.array_equal(binary.pack(rows, "median"), np.packbits(wide > median, axis=1))
    assert np.array_equal(binary.pack(np.asfortranarray(rows), mean), binary.pack(rows, "mean"))
    several = [binary.thresholds(rows, "mean", threads=threads) for threads in (1, 3)]
    assert np.array_equal(*several)


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_every_stage_finds_more(metric: str) -> None:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((40, 96)) + 0.5
    rows = (centres[rng.integers(0, 40, 3000)] + 0.6 * rng.standard_normal((3000, 96))).astype("f4")
    queries = (centres[rng.integers(0, 40, 80)] + 0.6 * rng.standard_normal((80, 96))).astype("f4")
    truth = vicinal.FlatIndex(96, metric)
    truth.add(rows)
    want = truth.search(queries, 10)
    limits = binary.thresholds(rows, "median")
    index = vicinal.BinaryIndex(96)
    index.add(binary.pack(rows, limits))

    def shared(ids: Matrix) -> float:
        pairs = zip(ids.tolist(), want.ids.tolist(), strict=True)
        return sum(len(set(a) & set(b)) for a, b in pairs) / want.ids.size

    bits = shared(index.search(binary.pack(queries, limits), 10).ids)
    how: dict[str, Any] = {"threshold": limits, "metric": metric}
    rescored = shared(binary.search_rescored(index, queries, 10, **how).ids)
    final = binary.search_rescored(index, queries, 10, vectors=rows, candidates=600, **how)
    assert bits < rescored < shared(final.ids)
    # Where the same row is found, its distance is that of an exact search, up to rounding.
    both = final.ids == want.ids
    assert both.any()
    scale = float((rows.astype(float) ** 2).sum(axis=1).max())
    np.testing.assert_allclose(
        final.distances[both], want.distances[both], atol=4 * 99 * 2.0**-24 * max(1.0, scale)
    )
    # Everything a candidate and a survivor: an exact search.
    exact = binary.search_rescored(
        index, queries, 10, vectors=rows, candidates=3000, survivors=3000, **how
    )
    assert np.array_equal(exact.ids, want.ids)


def test_rescoring_counts_bits_as_plus_and_minus_one() -> None:
    rows = some_bits(200, 75)
    index = vicinal.BinaryIndex(75)
    index.add(rows, ids=np.arange(200) * 2)
    queries = np.random.default_rng(1).integers(-9, 10, (6, 75))
    got = index.rescore(queries, np.tile(np.arange(-1, 399), (6, 1)), 8)
    scores = -(queries @ (2 * rows.astype(int) - 1).T)
    for i in range(6):
        order = np.lexsort((np.arange(200), scores[i]))[:8]
        assert np.array_equal(got.ids[i], order * 2)
        assert np.array_equal(got.distances[i], scores[i][order])
    single = index.rescore(queries[0], [0, 0, 2], 3)
    assert sorted(single.ids[0].tolist()) == [-1, 0, 2]
