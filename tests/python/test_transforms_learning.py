"""Transforms that are learned: what each is best at, on samples of every size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vicinal
from vicinal import config, transforms
from vicinal.transforms import (
    OPQ,
    PCA,
    LeanVec,
    QueryWhitening,
    RandomRotation,
    Transform,
    TransformSpec,
    _moments,
    _specs,
)

DIM = 24
EVERY: list[TransformSpec] = [
    RandomRotation(),
    RandomRotation(3, "dense"),
    PCA(),
    PCA(5),
    PCA(5, whiten=True),
    OPQ(6),
    OPQ(4, 4, dim=12, iterations=0),
    QueryWhitening(),
    QueryWhitening(0.01, parts=6),
    LeanVec(6, ridge=1),
]
KEEPS_L2 = [spec for spec in EVERY if not isinstance(spec, QueryWhitening | LeanVec)][:4]


def skewed(n: int, dim: int = DIM, seed: int = 0, steep: float = 0.8) -> Any:
    """Rows whose spread falls along directions that no axis follows, around a mean."""
    random = np.random.default_rng(seed)
    turn = np.linalg.qr(np.random.default_rng(99).standard_normal((dim, dim)))[0]
    rows = random.standard_normal((n, dim)) * steep ** np.arange(dim)
    return (rows @ turn + 0.3).astype(np.float32)


def other(n: int, dim: int = DIM, seed: int = 1) -> Any:
    """Queries: as skewed, along other directions."""
    return skewed(n, dim, seed, steep=0.9)[:, ::-1].copy()


def eye(matrix: Any) -> Any:
    return matrix @ matrix.T


# ---- rotations


@pytest.mark.parametrize("kind", ["fast", "dense"])
@pytest.mark.parametrize("dim", [1, 2, 3, 24, 64, 100])
def test_rotations_keep_lengths_and_angles(kind: str, dim: int) -> None:
    transform = RandomRotation(1, kind).fit(np.zeros((1, dim)), metric="l2")
    matrix = transform.data_matrix.astype(np.float64)
    # Each number is rounded to 2^-24 of at most 1, and worked out in some ten steps.
    np.testing.assert_allclose(eye(matrix), np.eye(dim), atol=40 * 2.0**-24 * np.sqrt(dim))
    assert transform.exact("l2")
    assert transform.exact("cosine")
    assert not transform.offset.any()


@pytest.mark.parametrize("kind", ["fast", "dense"])
def test_the_seed_decides_a_rotation(kind: str) -> None:
    def made(seed: int) -> Transform:
        return RandomRotation(seed, kind).fit(skewed(3), metric="l2")

    assert made(1) == made(1)
    assert made(1) != made(2)
    # A single direction is spread over all: no number of it stays large.
    assert np.abs(made(1).data(np.eye(DIM)[0])).max() < 0.9


# ---- PCA


@pytest.mark.parametrize("out", [None, 1, 7, DIM])
def test_pca_is_that_of_numpy(out: int | None) -> None:
    rows = skewed(500)
    transform = PCA(out).fit(rows, metric="l2")
    wide = rows.astype(np.float64)
    centred = wide - wide.mean(axis=0)
    _u, _s, directions = np.linalg.svd(centred, full_matrices=False)
    want = directions[:out]
    got = transform.data_matrix
    signs = np.sign((got * want).sum(axis=1, keepdims=True))
    # Eigenvalues lie 0.64 apart from one to the next: rounding turns vectors by some 1e-7.
    np.testing.assert_allclose(got, signs * want, atol=1e-5)
    np.testing.assert_allclose(transform.offset, wide.mean(axis=0), atol=1e-6)
    assert transform.fits("l2")
    assert transform.exact("l2") == (out in (None, DIM))
    # The largest number of each direction is positive: the same on every machine.
    assert (np.take_along_axis(got, np.abs(got).argmax(axis=1)[:, None], axis=1) > 0).all()


def test_pca_whitens() -> None:
    rows = skewed(2000)
    transform = PCA(whiten=True).fit(rows, metric="ip")
    assert transform.exact("ip")
    images = transform.data(rows).astype(np.float64)
    spread = images.var(axis=0)
    # The least direction is one part in 1e4.5 of the variance: float32 keeps three digits of it.
    np.testing.assert_allclose(spread / spread.mean(), 1, atol=1e-2)
    assert np.abs(images.mean(axis=0)).max() < 1e-2 * np.sqrt(spread.mean())
    fewer = PCA(5, whiten=True).fit(rows, metric="ip")
    np.testing.assert_allclose(fewer.data_matrix, transform.data_matrix[:5])


def test_pca_of_a_plane_and_of_a_point() -> None:
    plane = np.random.default_rng(0).standard_normal((50, 2)) @ skewed(2)
    transform = PCA(2).fit(plane, metric="l2")
    np.testing.assert_allclose(transform.inverse(transform.data(plane)), plane, atol=1e-4)
    assert PCA().fit(plane, metric="l2").exact("l2")
    point = np.ones((1, DIM))
    assert PCA(3).fit(point, metric="l2").fits("l2")
    assert PCA(whiten=True).fit(plane, metric="ip").exact("ip")
    with pytest.raises(vicinal.ArgumentError, match="vectors are all the same"):
        PCA(whiten=True).fit(point, metric="ip")


# ---- whitening by queries


@pytest.mark.parametrize("parts", [None, 5])
@pytest.mark.parametrize("count", [1, 2, 10, 3000])
@pytest.mark.parametrize("ridge", [0.001, 0.1, 10])
def test_inner_products_stay(parts: int | None, count: int, ridge: float) -> None:
    rows, queries = skewed(500), other(count)
    transform = QueryWhitening(ridge, parts).fit(rows, queries, metric="ip")
    assert transform.exact("ip")
    asked = other(40, seed=7)
    got = transform.queries(asked, "ip").astype(np.float64) @ transform.data(rows).T
    want = asked.astype(np.float64) @ rows.T
    # Both sides are off by 2^-23 of their lengths a few times over; these are the lengths.
    lengths = np.linalg.norm(transform.queries(asked, "ip"), axis=1)[:, None] * np.linalg.norm(
        transform.data(rows), axis=1
    )
    assert (np.abs(got - want) <= lengths * 2.0**-23 * 3 * DIM).all()
    assert not transform.shifts(asked, "ip").any()


@pytest.mark.parametrize("parts", [None, 5])
def test_queries_come_out_alike_in_all_directions(parts: int | None) -> None:
    queries = other(4000)
    transform = QueryWhitening(0, parts).fit(skewed(10), queries, metric="ip")
    images = transform.queries(queries, "ip").astype(np.float64)
    second = images.T @ images / len(images)
    # The second moment's eigenvalues differ by some 1e3: four of float32's digits are left.
    np.testing.assert_allclose(second / np.trace(second) * DIM, np.eye(DIM), atol=1e-3)
    ridged = QueryWhitening(1000, parts).fit(skewed(10), queries, metric="ip").data_matrix
    # A large ridge drowns what the queries say.
    np.testing.assert_allclose(eye(ridged) / (ridged[0] ** 2).sum(), np.eye(DIM), atol=4e-2)


def coded(rows: Any, parts: int, centroids: int) -> Any:
    """What k-means of each part of the rows makes of them."""
    out = []
    for part in np.array_split(rows.astype(np.float64), parts, axis=1):
        chosen = np.random.default_rng(0).choice(len(part), centroids, replace=False)
        centres = part[chosen]
        for _ in range(10):
            nearest = ((part[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
            for j in np.unique(nearest):
                centres[j] = part[nearest == j].mean(axis=0)
        out.append(centres[nearest])
    return np.concatenate(out, axis=1)


def test_codes_lose_less_of_what_queries_look_at() -> None:
    rows, queries = skewed(2000), other(4000)
    held_out = queries[2000:]

    def loss(transform: Transform) -> float:
        """Mean square error of inner products."""
        images = transform.data(rows)
        errors = transform.queries(held_out, "ip") @ (coded(images, 4, 64) - images).T
        return float((errors**2).mean())

    plain = loss(Transform(np.eye(DIM)))
    turned = loss(RandomRotation().fit(rows, metric="ip"))
    shared = loss(OPQ(4, iterations=0).fit(rows, metric="ip"))
    for parts in (None, 4):
        whitened = loss(QueryWhitening(0.1, parts).fit(rows, queries[:2000], metric="ip"))
        # Measured: .144 plain, .132 turned, .030 shared out; whitened .097, and .019 shared out.
        assert whitened < 0.8 * (min(plain, turned) if parts is None else shared)


@pytest.mark.parametrize("kind", [QueryWhitening, lambda: LeanVec(3)])
def test_cosine_looks_at_directions_only(kind: Any) -> None:
    rows, queries = skewed(300), other(300)
    scale = np.random.default_rng(5).uniform(0.1, 10, (300, 1))
    one = kind().fit(rows, queries, metric="cosine")
    two = kind().fit(rows * scale, queries * scale[::-1], metric="cosine")
    np.testing.assert_allclose(one.data_matrix, two.data_matrix, atol=1e-4)
    assert not np.allclose(
        one.data_matrix,
        kind().fit(rows * scale, queries * scale[::-1], metric="ip").data_matrix,
        atol=1e-3,
    )


def test_leanvec_loses_least() -> None:
    rows, queries = skewed(3000), other(3000)

    def loss(transform: Transform) -> float:
        images = transform.data(rows).astype(np.float64)
        got = transform.queries(queries, "ip").astype(np.float64) @ images.T
        got -= transform.shifts(queries, "ip")[:, None]
        return float(((got - queries.astype(np.float64) @ rows.T) ** 2).mean())

    lean = LeanVec(8, ridge=0).fit(rows, queries, metric="ip")
    centred = rows - rows.mean(axis=0, dtype=np.float64)
    k_x = centred.T @ centred / len(rows)
    k_q = queries.T.astype(np.float64) @ queries / len(queries)
    values, vectors = np.linalg.eigh(k_q)
    root = vectors * np.sqrt(values) @ vectors.T
    best = np.sort(np.linalg.eigvalsh(root @ k_x @ root))[::-1][8:].sum()
    # Eckart and Young: no pair of eight dimensions does better than what these leave over.
    np.testing.assert_allclose(loss(lean), best, rtol=1e-3)
    assert loss(PCA(8).fit(rows, metric="ip")) > 1.2 * best
    # Orthonormal on neither side, but queries and rows agree: what comes back scores the same.
    again = lean.data(lean.inverse(lean.data(rows)))
    np.testing.assert_allclose(again, lean.data(rows), atol=1e-3)


# ---- OPQ


def pq_error(transform: Transform | None, rows: Any, parts: int) -> float:
    """Mean squared distance of rows from what a product quantizer makes of them."""
    from vicinal.codecs import PQ

    images = rows if transform is None else transform.data(rows)
    codec = PQ(parts=parts, bits=4).train(images)
    coded = codec.decode(codec.encode(images))
    back = coded if transform is None else transform.inverse(coded)
    return float(((back.astype(np.float64) - rows) ** 2).sum(axis=1).mean())


def test_opq_helps_a_product_quantizer() -> None:
    rows = skewed(4000)
    plain = pq_error(None, rows, 6)
    start = pq_error(OPQ(6, 4, iterations=0).fit(rows, metric="l2"), rows, 6)
    turned = OPQ(6, 4, iterations=4).fit(rows, metric="l2")
    assert turned.exact("l2")
    assert not turned.offset.any()
    # Measured: 0.61 plain, 0.12 both. Of normal data the start is the optimum already.
    assert start < 0.5 * plain
    assert pq_error(turned, rows, 6) < 1.02 * start
    fewer = OPQ(6, 4, dim=12, iterations=4).fit(rows, metric="l2")
    assert (fewer.out_dim, fewer.fits("l2"), fewer.exact("l2")) == (12, True, False)
    assert pq_error(fewer, rows, 6) < 0.5 * plain


def test_opq_does_not_depend_on_threads() -> None:
    rows = skewed(2000)
    one, four = (OPQ(5, iterations=2).fit(rows, metric="ip", threads=n) for n in (1, 4))
    assert one == four


@pytest.mark.parametrize("parts", [1, 2, 4, 5, DIM])
def test_opq_shares_the_spread_out(parts: int) -> None:
    rows = skewed(3000)
    transform = OPQ(parts, iterations=0).fit(rows, metric="l2")
    directions = PCA().fit(rows, metric="l2").data_matrix
    order = np.abs(transform.data_matrix @ directions.T).argmax(axis=1)
    assert sorted(order) == list(range(DIM))
    # Variances fall by 0.64 from each direction to the next, one step. What a part has of them is
    # the sum of its places; in order, sums of four parts would be 108 apart, of two parts 144.
    sums = [part.sum() for part in np.array_split(DIM - 1 - order, parts)]
    if parts in (2, 4):
        assert max(sums) - min(sums) <= 12


# ---- samples


@pytest.mark.parametrize("spec", KEEPS_L2, ids=str)
def test_blocks_and_types_change_nothing(
    spec: TransformSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = np.round(skewed(300) * 20)
    whole = spec.fit(rows, metric="l2")
    np.save(tmp_path / "rows.npy", rows.astype(np.float16))
    monkeypatch.setattr(_moments, "_BLOCK_NUMBERS", 7 * DIM)
    for same in (
        rows,
        rows.astype(np.int8),
        rows.astype(np.int64).tolist(),
        np.asfortranarray(rows),
        np.load(tmp_path / "rows.npy", mmap_mode="r"),
    ):
        got = spec.fit(same, metric="l2")
        # Sums of whole numbers are exact in float64; the division by their count is not.
        np.testing.assert_allclose(got.data_matrix, whole.data_matrix, atol=1e-5)


def test_large_sets_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, queries = skewed(3000), other(3000)
    monkeypatch.setattr(_moments, "MOMENT_ROWS", 500)
    for spec in (PCA(4), QueryWhitening(), LeanVec(4)):
        made = [spec.fit(rows, queries, metric="ip", seed=seed) for seed in (1, 1, 2)]
        assert made[0] == made[1]
        assert made[0] != made[2]

    rows[:] = rows[0]
    rows[2] = np.nan
    drawn: dict[bool, int] = {}
    for seed in range(50):
        chosen = _moments.sample(rows, 500, seed)
        assert chosen is not None
        drawn[2 in chosen] = seed
    PCA(4).fit(rows, metric="l2", seed=drawn[False])  # a row left out is not looked at
    with pytest.raises(vicinal.ArgumentError, match="vectors: row 2, column 0 is nan"):
        PCA(4).fit(rows, metric="l2", seed=drawn[True])


def test_sample_is_ascending_and_without_repeats() -> None:
    rows = np.zeros((1000, 1))
    assert _moments.sample(rows, 1000, 0) is None
    chosen = _moments.sample(rows, 999, 0)
    assert chosen is not None
    assert len(chosen) == 999
    assert (np.diff(chosen) > 0).all()


# ---- what cannot work

Error, Wide = vicinal.ArgumentError, vicinal.DimensionError
SPECS: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    (RandomRotation, {"seed": -1}, Error, "seed must be from 0"),
    (RandomRotation, {"seed": 1.5}, TypeError, "seed must be an integer"),
    (RandomRotation, {"kind": "slow"}, Error, "kind must be 'fast' or 'dense', got 'slow'"),
    (PCA, {"dim": 0}, Error, "dim must be from 1"),
    (PCA, {"dim": "many"}, TypeError, "dim must be an integer, got str 'many'"),
    (PCA, {"whiten": 1}, TypeError, "whiten must be a bool, got int"),
    (OPQ, {"parts": 0}, Error, "parts must be from 1"),
    (OPQ, {"parts": 2, "bits": -1}, Error, "bits must be from 0|bits must be from 1"),
    (OPQ, {"parts": 2, "dim": 0}, Error, "dim must be from 1"),
    (OPQ, {"parts": 2, "iterations": -1}, Error, "iterations must be from 0"),
    (QueryWhitening, {"ridge": -0.1}, Error, "ridge must be from 0 to 1000, got -0.1"),
    (QueryWhitening, {"ridge": float("nan")}, Error, "ridge must be from 0 to 1000, got nan"),
    (QueryWhitening, {"ridge": "0"}, TypeError, "ridge must be a number, got str '0'"),
    (QueryWhitening, {"parts": 0}, Error, "parts must be from 1"),
    (LeanVec, {"dim": 0}, Error, "dim must be from 1"),
    (LeanVec, {"dim": 3, "ridge": True}, TypeError, "ridge must be a number, got bool True"),
]


@pytest.mark.parametrize(("kind", "arguments", "error", "says"), SPECS)
def test_specs_of_nonsense(
    kind: Any, arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        kind(**arguments)


ROWS, QUERIES = skewed(30), other(30)
SPOILED = ROWS.copy()
SPOILED[4, 2] = np.inf
ZERO = ROWS.copy()
ZERO[7] = 0
FITS: list[tuple[TransformSpec, dict[str, Any], type[Exception], str]] = [
    (PCA(), {"vectors": ROWS[0]}, Error, "vectors has 1 dimensions; wanted 2"),
    (PCA(), {"vectors": ROWS[:0]}, Error, "vectors has 0 rows; wanted at least 1"),
    (PCA(), {"vectors": ROWS[:, :0]}, Error, "vectors has 0 columns; wanted 1 to 32768"),
    (PCA(), {"vectors": "rows"}, TypeError, "vectors holds <U4"),
    (PCA(), {"vectors": SPOILED}, Error, "vectors: row 4, column 2 is inf"),
    (PCA(), {"vectors": ZERO, "metric": "cosine"}, Error, "vectors: row 7 is zero"),
    (PCA(), {"metric": "angle"}, Error, "metric must be one of 'l2', 'ip', 'cosine', got 'angle'"),
    (PCA(), {"metric": None}, Error, "metric must be one of"),
    (PCA(), {"seed": -1}, Error, "seed must be from 0"),
    (PCA(), {"queries": QUERIES[:, 1:]}, Wide, "queries has 23 columns; vectors has 24"),
    (PCA(25), {}, Error, "dim is 25; vectors has 24 columns"),
    (PCA(whiten=True), {"metric": "l2"}, Error, r"PCA\(.*\) changes l2 distances; wanted metric"),
    (OPQ(25), {}, Error, "parts is 25; there are 24 dimensions"),
    (OPQ(2, dim=25), {}, Error, "dim is 25; vectors has 24 columns"),
    (OPQ(4, dim=3), {}, Error, "parts is 4; there are 3 dimensions"),
    (QueryWhitening(), {"metric": "l2"}, Error, "changes l2 distances"),
    (QueryWhitening(), {"queries": None}, Error, r"QueryWhitening\(.*\) learns from queries"),
    (QueryWhitening(), {"queries": SPOILED}, Error, "queries: row 4, column 2 is inf"),
    (QueryWhitening(), {"queries": ROWS * 0}, Error, "queries are all zero"),
    (QueryWhitening(), {"queries": ZERO, "metric": "cosine"}, Error, "queries: row 7 is zero"),
    (QueryWhitening(parts=25), {}, Error, "parts is 25; there are 24 dimensions"),
    (LeanVec(3), {"metric": "l2"}, Error, "changes l2 distances"),
    (LeanVec(3), {"queries": None}, Error, "learns from queries"),
    (LeanVec(25), {}, Error, "dim is 25; vectors has 24 columns"),
    (TransformSpec(), {}, TypeError, "TransformSpec learns nothing"),
]


@pytest.mark.parametrize(("spec", "arguments", "error", "says"), FITS)
def test_samples_of_nonsense(
    spec: TransformSpec, arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        spec.fit(**{"vectors": ROWS, "queries": QUERIES, "metric": "ip", **arguments})


# ---- as values


@pytest.mark.parametrize("spec", EVERY, ids=str)
def test_specs_are_values(spec: TransformSpec) -> None:
    text = config.dumps(spec)
    assert config.loads(type(spec), text) == spec
    assert eval(repr(spec), vars(transforms)) == spec
    assert len({spec, config.loads(type(spec), text)}) == 1
    assert [spec == each for each in EVERY].count(True) == 1
    with pytest.raises(AttributeError):
        spec.ridge = 3  # type: ignore[attr-defined]


def test_mistakes_in_toml_are_named() -> None:
    with pytest.raises(ValueError, match="unknown key 'rigde'; the nearest is 'ridge'"):
        config.loads(QueryWhitening, "rigde = 1")
    with pytest.raises(ValueError, match="key 'dim' is missing"):
        config.loads(LeanVec, "")
    with pytest.raises(ValueError, match="kind must be"):
        config.loads(RandomRotation, "kind = 'slow'")


def test_every_public_name_is_described() -> None:
    for name in transforms.__all__:
        assert getattr(transforms, name).__doc__
    names = [spec.name for spec in (TransformSpec, *_specs.TransformSpec.__subclasses__())]
    assert len(set(names)) == len(names)
