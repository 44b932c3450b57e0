"""Exact search: any array, any layout, against an exhaustive search in double."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

import vicinal

DTYPES = ["float64", "float32", "float16", "int8", "uint8", ">f4", "int16", "int64", "uint32"]
LAYOUTS = [
    "plain",
    "fortran",
    "rows reversed",
    "columns reversed",
    "every second column",
    "every third row",
    "unaligned",
    "read-only",
    "list",
]


def laid_out(plain: npt.NDArray[Any], layout: str) -> Any:
    """The same numbers, elsewhere in memory."""
    n, dim = plain.shape
    if layout == "fortran":
        return np.asfortranarray(plain)
    if layout == "rows reversed":
        return plain[::-1].copy()[::-1]
    if layout == "columns reversed":
        return plain[:, ::-1].copy()[:, ::-1]
    if layout == "every second column":
        wide = np.full((n, 2 * dim), 77, plain.dtype)
        wide[:, ::2] = plain
        return wide[:, ::2]
    if layout == "every third row":
        tall = np.full((3 * n, dim), 77, plain.dtype)
        tall[::3] = plain
        return tall[::3]
    if layout == "unaligned":
        raw = np.zeros(plain.nbytes + 1, np.uint8)
        view = raw[1:].view(plain.dtype).reshape(plain.shape)
        view[:] = plain
        return view
    if layout == "read-only":
        frozen = plain.copy()
        frozen.flags.writeable = False
        return frozen
    return plain.tolist() if layout == "list" else plain


@st.composite
def cases(draw: st.DrawFn) -> tuple[Any, Any, str, int, npt.NDArray[np.int64]]:
    """Small whole numbers: every distance is exact in float32, so ties are true ties."""
    dim = draw(st.integers(1, 40))
    n = draw(st.integers(1, 50))
    q = draw(st.integers(1, 8))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from(DTYPES))
    least = 0 if dtype.startswith("u") else -5
    rows = rng.integers(least, 6, (n, dim)).astype(dtype)
    queries = rng.integers(0, 6, (q, dim)).astype(draw(st.sampled_from(DTYPES)))
    ids = rng.choice(10 * n, n, replace=False).astype(np.int64)
    return (
        laid_out(rows, draw(st.sampled_from(LAYOUTS))),
        laid_out(queries, draw(st.sampled_from(LAYOUTS))),
        draw(st.sampled_from(["l2", "ip"])),
        draw(st.integers(1, 60)),
        ids,
    )


@given(cases())
def test_equals_exhaustive_search(case: Any) -> None:
    rows, queries, metric, k, ids = case
    plain_rows, plain_queries = np.asarray(rows), np.asarray(queries)
    index = vicinal.FlatIndex(plain_rows.shape[1], metric)
    index.add(rows, ids)
    got = index.search(queries, k)
    want_ids, want = reference.nearest(plain_queries, plain_rows, ids, metric, k)
    assert got.ids.dtype == np.int64
    assert got.distances.dtype == np.float32
    assert np.array_equal(got.ids, want_ids)
    assert np.array_equal(got.distances, want)
    assert np.array_equal(got.counts, np.full(len(queries), min(k, len(ids))))


@given(cases(), st.sampled_from(["mask", "short mask", "ids", "nothing"]), st.integers(0, 2**32))
def test_allow_restricts(case: Any, form: str, seed: int) -> None:
    rows, queries, metric, k, ids = case
    rng = np.random.default_rng(seed)
    length = {"mask": 10 * len(ids), "short mask": 5 * len(ids), "nothing": 0}
    mask = rng.random(length.get(form, 10 * len(ids))) < 0.5
    kept = np.array([i < len(mask) and mask[i] for i in ids], dtype=bool)
    allow: Any = mask
    if form == "ids":
        allow = rng.permutation(np.r_[ids[kept], ids[kept][:1], 10**12])  # repeated and unknown
    index = vicinal.FlatIndex(np.asarray(rows).shape[1], metric)
    index.add(rows, ids)
    got = index.search(queries, k, allow=allow)
    want_ids, want = reference.nearest(
        np.asarray(queries), np.asarray(rows)[kept], ids[kept], metric, k
    )
    assert np.array_equal(got.ids, want_ids)
    assert np.array_equal(got.distances, want)


@given(cases(), st.integers(-30, 300))
def test_range_search_finds_all_within(case: Any, radius: int) -> None:
    rows, queries, metric, _, ids = case
    index = vicinal.FlatIndex(np.asarray(rows).shape[1], metric)
    index.add(rows, ids)
    got = index.range_search(queries, radius)
    want_ids, want = reference.nearest(np.asarray(queries), np.asarray(rows), ids, metric, len(ids))
    assert got.offsets.dtype == np.int64
    assert got.offsets[0] == 0
    assert len(got.ids) == len(got.distances) == got.offsets[-1]
    for i in range(len(queries)):
        within = want[i] <= radius
        assert np.array_equal(got.of(i)[0], want_ids[i][within])
        assert np.array_equal(got.of(i)[1], want[i][within])
    with pytest.raises(IndexError, match="query must be from 0"):
        got.of(len(queries))


def test_cosine_within_rounding(normal: Any) -> None:
    rows, queries = normal(300, 24), normal(20, 24, seed=1)
    index = vicinal.FlatIndex(24, "cosine")
    index.add(rows * np.float32(1000))
    got = index.search(queries, 300)
    want = np.take_along_axis(reference.distances(queries, rows, "cosine"), got.ids, axis=1)
    # A product of two normalised vectors: each of dim + 3 steps rounds by 2**-24 of at most 1.
    np.testing.assert_allclose(got.distances, want, atol=2 * 27 * 2.0**-24)
    assert np.array_equal(np.sort(got.ids, axis=1), np.tile(np.arange(300), (20, 1)))


@pytest.mark.parametrize(("codec", "least"), [("int8", -128), ("uint8", 0)])
def test_byte_codecs_keep_whole_numbers(codec: str, least: int) -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(least, least + 256, (100, 17)).astype(codec)
    index = vicinal.FlatIndex(17, codec=codec)
    index.add(rows)
    assert np.array_equal(index.get(5), rows[5])
    got = index.search(rows[:10].astype(np.float64), 100)
    want_ids, want = reference.nearest(rows[:10], rows, np.arange(100), "l2", 100)
    assert np.array_equal(got.ids, want_ids)
    assert np.array_equal(got.distances, want)
    assert index.memory()["codes"] < 3 * rows.nbytes + 65536
    with pytest.raises(vicinal.ArgumentError, match="row 0"):
        index.add(np.full((1, 17), 0.5))
    assert len(index) == 100


def test_a_single_vector_counts_as_one_row(normal: Any) -> None:
    rows = normal(20, 8)
    index = vicinal.FlatIndex(8)
    index.add(rows[0])
    index.add(rows[1], ids=7)
    assert index.ids.tolist() == [0, 7]
    assert index.search(rows[1], k=1).ids.tolist() == [[7]]


def test_an_emptied_index_forgets_what_its_codec_learned() -> None:
    rows = np.random.default_rng(0).standard_normal((400, 32), dtype=np.float32)
    index = vicinal.FlatIndex(32, codec="pq8x4")
    index.add(rows)
    index.remove(index.ids)
    index.add(rows + 100)
    fresh = vicinal.FlatIndex(32, codec="pq8x4")
    fresh.add(rows + 100)
    want = fresh.search(rows[:20] + 100, k=1)
    got = index.search(rows[:20] + 100, k=1)
    np.testing.assert_array_equal(got.ids, want.ids + 400)
    np.testing.assert_array_equal(got.distances, want.distances)


def test_codecs_that_do_not_go_with_a_metric_are_refused_at_once() -> None:
    with pytest.raises(vicinal.ArgumentError, match="metric is l2"):
        vicinal.FlatIndex(32, "l2", codec=vicinal.PQ(8, bits=4, anisotropic=True))
    vicinal.FlatIndex(32, "ip", codec=vicinal.PQ(8, bits=4, anisotropic=True))
