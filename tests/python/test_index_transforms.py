"""Indexes whose codec stands behind a transform."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference

import vicinal
from vicinal.transforms import OPQ, PCA, LeanVec, QueryWhitening, RandomRotation, Transform

DIM, KEPT = 32, 12
METRICS = ("l2", "ip", "cosine")


@pytest.fixture(scope="module")
def rows() -> Any:
    """6,000 rows, whose spread falls from dimension to dimension, about a place of their own."""
    random = np.random.default_rng(3)
    spread = 0.75 ** np.arange(DIM)
    turned = (random.standard_normal((6000, DIM)) * spread) @ _rotation(5)
    return (turned + 0.5).astype(np.float32)


@pytest.fixture(scope="module")
def queries(rows: Any) -> Any:
    random = np.random.default_rng(4)
    return (rows[random.choice(6000, 200)] + 0.02 * random.standard_normal((200, DIM))).astype(
        np.float32
    )


def _rotation(seed: int) -> Any:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((DIM, DIM)))[0]


def recall(index: Any, rows: Any, queries: Any, **how: Any) -> float:
    want, _ = reference.nearest(queries, rows, np.arange(len(rows)), index.metric, 10)
    return reference.shared(index.search(queries, 10, **how).ids, want)


@pytest.mark.parametrize("metric", METRICS)
def test_a_flat_index_gives_what_its_transform_estimates(
    rows: Any, queries: Any, metric: str
) -> None:
    transform = PCA(KEPT).fit(rows, metric=metric)
    index = vicinal.FlatIndex(DIM, metric, transform=transform)
    index.add(rows)
    got = index.search(queries, 5)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True) if metric == "cosine" else rows
    asked = queries
    if metric == "cosine":
        asked = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    # A row stands for the vector that comes back from its image.
    stands = transform.inverse(transform.data(unit)).astype(np.float64)
    if metric == "l2":
        want = ((asked[:, None, :] - stands[None]) ** 2).sum(axis=2)
    else:
        want = -(asked.astype(np.float64) @ stands.T) + (1.0 if metric == "cosine" else 0.0)
        want = np.maximum(want, 0.0) if metric == "cosine" else want
    best = np.sort(want, axis=1)[:, :5]
    np.testing.assert_allclose(got.distances, best, atol=2e-4 * np.abs(want).max())
    np.testing.assert_allclose(index.get(7), stands[7], atol=1e-4)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("codec", ["sq8", "sq4", "pq6x4", "rabitq2"])
def test_one_query_and_many_agree_behind_a_transform(
    rows: Any, queries: Any, codec: str, metric: str
) -> None:
    transform = PCA(KEPT).fit(rows, metric=metric)
    for index in (
        vicinal.FlatIndex(DIM, metric, codec=codec, transform=transform),
        vicinal.HNSWIndex(DIM, metric, codec=codec, refine="float16", transform=transform),
        vicinal.IVFIndex(DIM, metric, codec=codec, refine="float16", lists=60, transform=transform),
    ):
        index.add(rows)
        together = index.search(queries, 7)
        for i in range(0, 200, 23):
            alone = index.search(queries[i], 7)
            assert np.array_equal(alone.ids[0], together.ids[i])
            assert np.array_equal(alone.distances[0], together.distances[i])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("builder", ["auto", "batch", "insert"])
def test_graphs_of_fewer_dimensions_find_the_neighbours(
    rows: Any, queries: Any, metric: str, builder: str
) -> None:
    transform = PCA(KEPT).fit(rows, metric=metric)
    index = vicinal.HNSWIndex(
        DIM, metric, codec="sq8", refine="float32", builder=builder, transform=transform
    )
    index.add(rows)
    assert recall(index, rows, queries, ef=200) > 0.97
    # Distances are those of the refine store.
    got = index.search(queries, 3, ef=100)
    true = np.take_along_axis(reference.distances(queries, rows, metric), got.ids, axis=1)
    np.testing.assert_allclose(got.distances, true, atol=1e-3)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("residual", [True, False])
def test_lists_find_the_neighbours_behind_a_transform(
    rows: Any, queries: Any, metric: str, residual: bool
) -> None:
    transform = PCA(KEPT).fit(rows, metric=metric)
    index = vicinal.IVFIndex(
        DIM,
        metric,
        codec="sq8",
        refine="float32",
        lists=40,
        residual=residual,
        transform=transform,
    )
    index.add(rows)
    assert recall(index, rows, queries, nprobe=40, candidates=200) > 0.97


def test_pairs_of_matrices_stand_before_codes(rows: Any, queries: Any) -> None:
    # Queries look along other directions than the rows spread in.
    asked = queries @ _rotation(8).astype(np.float32)
    for spec in (QueryWhitening(), LeanVec(24), QueryWhitening(parts=8)):
        transform = spec.fit(rows, asked, metric="ip")
        for index in (
            vicinal.FlatIndex(DIM, "ip", codec="pq8x8", transform=transform),
            vicinal.HNSWIndex(DIM, "ip", codec="sq8", refine="float32", transform=transform),
            vicinal.IVFIndex(DIM, "ip", codec="sq8", refine="float32", transform=transform),
        ):
            index.add(rows)
            assert index.transform == transform
            if index.params != vicinal.FlatIndex(DIM, "ip", codec="pq8x8").params:
                assert recall(index, rows, asked, **_wide(index)) > 0.9


def _wide(index: Any) -> dict[str, int]:
    return {"ef": 400} if isinstance(index, vicinal.HNSWIndex) else {"nprobe": 200}


def test_a_rotation_helps_a_product_quantizer(rows: Any, queries: Any) -> None:
    found = []
    for transform in (None, OPQ(4, 8, iterations=3).fit(rows, metric="l2")):
        index = vicinal.FlatIndex(DIM, codec="pq4x8", transform=transform)
        index.add(rows)
        found.append(recall(index, rows, queries))
    assert found[1] > found[0] + 0.03


@pytest.mark.parametrize("mode", ["map", "load"])
@pytest.mark.parametrize("filled", [True, False])
@pytest.mark.parametrize("spec", [PCA(KEPT), RandomRotation(seed=2**62 + 5)], ids=str)
def test_files_keep_the_transform(
    rows: Any, queries: Any, tmp_path: Path, mode: Any, filled: bool, spec: Any
) -> None:
    transform = spec.fit(rows, metric="cosine")
    for index in (
        vicinal.FlatIndex(DIM, "cosine", codec="rabitq1", transform=transform),
        vicinal.HNSWIndex(DIM, "cosine", codec="sq4", refine="float16", transform=transform),
        vicinal.IVFIndex(DIM, "cosine", codec="sq4", refine="sq8", transform=transform),
    ):
        if filled:
            index.add(rows)
        path = tmp_path / "index.vicinal"
        index.save(path)
        vicinal.verify(path)
        again = vicinal.open(path, mode)
        assert again.transform == transform
        assert repr(again) == repr(index)
        assert f"32 -> {transform.out_dim}, " in repr(again)
        again.add(rows[:50], ids=np.arange(7000, 7050))
        index.add(rows[:50], ids=np.arange(7000, 7050))
        a, b = again.search(queries, 5), index.search(queries, 5)
        assert np.array_equal(a.ids, b.ids)
        assert np.array_equal(a.distances, b.distances)


def test_the_transform_is_counted_and_said(rows: Any) -> None:
    transform = PCA(KEPT).fit(rows, metric="l2")
    index = vicinal.HNSWIndex(DIM, codec="sq8", refine="float16", transform=transform)
    assert vicinal.HNSWIndex(DIM).transform is None
    index.add(rows)
    memory = index.memory()
    assert memory["transform/data"] == memory["transform/query"] == 4 * DIM * KEPT
    assert memory["codes"] == 6000 * (16 + 16)  # a head, and 12 bytes filled up to 16
    plain = vicinal.HNSWIndex.from_params(DIM, "l2", index.params, transform=index.transform)
    assert plain.transform == transform
    assert plain.params == index.params


def test_changes_keep_the_transform(rows: Any, queries: Any) -> None:
    transform = PCA(KEPT).fit(rows, metric="l2")
    index = vicinal.HNSWIndex(DIM, codec="sq8", refine="float32", transform=transform)
    index.add(rows[:5000])
    index.remove(np.arange(0, 1000))
    index.compact()
    index.reorder()
    index.add(rows[5000:], ids=np.arange(5000, 6000))
    assert index.transform == transform
    kept = rows[1000:]
    want, _ = reference.nearest(queries, kept, np.arange(1000, 6000), "l2", 10)
    assert reference.shared(index.search(queries, 10, ef=200).ids, want) > 0.97
    index.calibrate(queries, recall=0.9)
    assert reference.shared(index.search(queries, 10, recall=0.9).ids, want) > 0.85


@pytest.mark.parametrize("make", [vicinal.FlatIndex, vicinal.HNSWIndex, vicinal.IVFIndex])
def test_what_a_transform_must_be(make: Any, rows: Any, queries: Any) -> None:
    fewer = PCA(KEPT).fit(rows, metric="l2")
    with pytest.raises(vicinal.DimensionError, match="takes 32 dimensions; dim is 33"):
        make(33, transform=fewer)
    with pytest.raises(TypeError, match=r"got PCA PCA\(dim=12.*fit it first"):
        make(DIM, transform=PCA(KEPT))
    with pytest.raises(TypeError, match="transform must be None or a vicinal"):
        make(DIM, transform="pca")
    with pytest.raises(vicinal.ArgumentError, match="parts is 13"):
        make(DIM, codec="pq13", transform=fewer)
    pair = QueryWhitening().fit(rows, queries, metric="ip")
    if make is vicinal.IVFIndex:
        make(DIM, "l2", transform=pair)  # inner products with residuals
        with pytest.raises(vicinal.ArgumentError, match="does not keep l2 distances"):
            make(DIM, "l2", transform=pair, residual=False)
    else:
        with pytest.raises(vicinal.ArgumentError, match="does not keep l2 distances"):
            make(DIM, "l2", transform=pair)
    if make is vicinal.FlatIndex:
        with pytest.raises(vicinal.ArgumentError, match="int8 holds whole numbers only"):
            make(DIM, codec="int8", transform=fewer)
    index = make(DIM, "ip", transform=Transform(2e30 * np.eye(DIM), np.eye(DIM) / 2e30))
    with pytest.raises(vicinal.ArgumentError, match="too large"):
        index.add(np.full((500, DIM), 1e30, np.float32) * np.arange(1, 501)[:, None])
    assert len(index) == 0


def test_a_damaged_transform_is_refused(rows: Any, tmp_path: Path) -> None:
    path = tmp_path / "index.vicinal"
    for spec in (PCA(KEPT), RandomRotation()):
        index = vicinal.HNSWIndex(DIM, codec="sq8", transform=spec.fit(rows, metric="l2"))
        index.add(rows[:300])
        index.save(path)
        whole = path.read_bytes()
        header = json.loads(whole[64 : 64 + int.from_bytes(whole[16:24], "little")])
        for section in header["sections"]:
            if not section["name"].startswith("transform/"):
                continue
            for at in (section["offset"], section["offset"] + section["bytes"] - 1):
                bad = bytearray(whole)
                bad[at] ^= 0x40
                path.write_bytes(bad)
                for mode in ("map", "load"):
                    with pytest.raises(vicinal.FormatError, match="transform/"):
                        vicinal.open(path, mode)  # type: ignore[arg-type]
