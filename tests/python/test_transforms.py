"""Transforms that are given: what they do to vectors, and what becomes of them in files."""

from __future__ import annotations

import copy
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference

import vicinal
from vicinal.io.npy import write_npz
from vicinal.transforms import Transform

DIM = 20


def rotation(rows: int = DIM, dim: int = DIM, seed: int = 0) -> Any:
    """Orthonormal rows."""
    normal = np.random.default_rng(seed).standard_normal((dim, dim))
    return np.linalg.qr(normal)[0][:rows]


def pair(seed: int = 0) -> tuple[Any, Any]:
    """Two matrices that keep inner products between them."""
    random = np.random.default_rng(seed)
    data = np.eye(DIM) + 0.1 * random.standard_normal((DIM, DIM))
    return data, np.linalg.inv(data).T


OFFSET = np.linspace(-1, 1, DIM)
MADE: dict[str, Callable[[], Transform]] = {
    "rotation": lambda: Transform(rotation()),
    "rotation with offset": lambda: Transform(rotation(), offset=OFFSET),
    "fast rotation": lambda: Transform.rotation(DIM, 5),
    "fewer dimensions": lambda: Transform(rotation(7), offset=OFFSET),
    "more dimensions": lambda: Transform(rotation(30, 30)[:, :DIM], offset=OFFSET),
    "whitening": lambda: Transform(*pair()),
    "whitening with offset": lambda: Transform(*pair(), OFFSET),
}


@pytest.fixture(params=MADE)
def transform(request: pytest.FixtureRequest) -> Transform:
    return MADE[request.param]()


def dense(transform: Transform) -> tuple[Any, Any, Any]:
    parts = (transform.data_matrix, transform.query_matrix, transform.offset)
    assert all(part.dtype == np.float32 for part in parts)
    data, query, offset = (part.astype(np.float64) for part in parts)
    return data, query, offset


# Sums of 20 (or 30) products below 4 in size, rounded one by one.
CLOSE = 30 * 4 * 32 * 2.0**-23


def test_applies_the_matrices(transform: Transform, normal: Any) -> None:
    data, query, offset = dense(transform)
    assert data.shape == query.shape == (transform.out_dim, transform.dim)
    rows, queries = normal(50, DIM), normal(9, DIM, seed=1)
    images = transform.data(rows)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images, (rows - offset) @ data.T, atol=CLOSE)
    for metric in ("l2", "ip", "cosine"):
        if not transform.fits(metric):
            continue
        want = (queries - offset if metric == "l2" else queries) @ query.T
        np.testing.assert_allclose(transform.queries(queries, metric), want, atol=CLOSE)
    np.testing.assert_allclose(transform.inverse(images), images @ query + offset, atol=CLOSE)
    if transform.exact("ip"):
        np.testing.assert_allclose(transform.inverse(images), rows, atol=4 * CLOSE)
    np.testing.assert_array_equal(transform.data(rows[3]), images[3:4])


def test_scores_and_shifts_are_distances(transform: Transform, normal: Any) -> None:
    rows, queries = normal(50, DIM), normal(9, DIM, seed=1)
    images = transform.data(rows)
    for metric in ("l2", "ip"):
        if not transform.fits(metric):
            with pytest.raises(vicinal.ArgumentError, match="does not keep l2"):
                transform.shifts(queries, metric)
            continue
        scores = reference.distances(transform.queries(queries, metric), images, metric)
        got = scores + transform.shifts(queries, metric)[:, None]
        # Squared norms below 100 of numbers that are CLOSE to what they should be.
        want = reference.distances(queries, transform.inverse(images), metric)
        np.testing.assert_allclose(got, want, atol=40 * CLOSE)
        if transform.exact(metric):
            true = reference.distances(queries, rows, metric)
            np.testing.assert_allclose(got, true, atol=40 * CLOSE)


def test_knows_what_it_keeps() -> None:
    kept = {
        name: [m for m in ("l2", "ip", "cosine") if make().exact(m)] for name, make in MADE.items()
    }
    everything, inner = ["l2", "ip", "cosine"], ["ip", "cosine"]
    assert kept == {
        "rotation": everything,
        "rotation with offset": everything,
        "fast rotation": everything,
        "fewer dimensions": [],
        "more dimensions": everything,
        "whitening": inner,
        "whitening with offset": inner,
    }
    assert [name for name, make in MADE.items() if not make().fits("l2")] == [
        "whitening",
        "whitening with offset",
    ]
    assert repr(MADE["whitening"]()) == (
        "<vicinal.transforms.Transform 20 -> 20: exact for ip, cosine>"
    )
    assert repr(MADE["fewer dimensions"]()) == (
        "<vicinal.transforms.Transform 20 -> 7: approximate for l2, ip, cosine>"
    )
    learned = Transform(rotation(7), rotation(7, seed=1))  # by somebody, for something
    assert repr(learned).endswith("approximate for ip, cosine>")


@pytest.mark.parametrize("name", MADE)
def test_one_after_another(name: str, normal: Any) -> None:
    first = MADE[name]()
    rows, queries = normal(50, DIM), normal(9, DIM, seed=1)
    for offset in (None, np.linspace(1, -2, first.out_dim)):
        then = Transform(rotation(5, first.out_dim, seed=2), offset=offset)
        if name == "more dimensions" and offset is not None:
            with pytest.raises(vicinal.ArgumentError, match="then has an offset"):
                first.compose(then)
            continue
        both = first.compose(then)
        assert (both.dim, both.out_dim) == (DIM, 5)
        np.testing.assert_allclose(both.data(rows), then.data(first.data(rows)), atol=8 * CLOSE)
        for metric in ("l2", "ip"):
            if not both.fits(metric) or not first.fits(metric):
                continue
            scores = reference.distances(
                then.queries(first.queries(queries, metric), metric),
                then.data(first.data(rows)),
                metric,
            )
            shifts = first.shifts(queries, metric)
            shifts = shifts + then.shifts(first.queries(queries, metric), metric)
            got = reference.distances(both.queries(queries, metric), both.data(rows), metric)
            got = got + both.shifts(queries, metric)[:, None]
            np.testing.assert_allclose(got, scores + shifts[:, None], atol=100 * CLOSE)


def test_composing_what_does_not_fit() -> None:
    with pytest.raises(vicinal.DimensionError, match="then takes 20 dimensions"):
        MADE["fewer dimensions"]().compose(MADE["rotation"]())
    with pytest.raises(TypeError, match="then must be a Transform, got int 3"):
        MADE["rotation"]().compose(3)  # type: ignore[arg-type]


def test_any_type_and_layout(normal: Any) -> None:
    transform = MADE["rotation with offset"]()
    rows = np.round(normal(100, DIM) * 10)
    want = transform.data(rows)
    for kind in (np.float64, np.float16, np.int8, np.int64):
        np.testing.assert_array_equal(transform.data(rows.astype(kind)), want)
    np.testing.assert_array_equal(transform.data(rows.tolist()), want)
    np.testing.assert_array_equal(transform.data(np.asfortranarray(rows)), want)
    np.testing.assert_array_equal(transform.data(rows[::-2]), want[::-2])
    assert transform.data(rows[:0]).shape == (0, DIM)


def test_threads_change_nothing(transform: Transform, normal: Any) -> None:
    rows = normal(1000, DIM)
    images = transform.data(rows, threads=1)
    np.testing.assert_array_equal(images, transform.data(rows, threads=4))
    for metric in ("l2", "ip"):
        if transform.fits(metric):
            asked = [transform.queries(rows, metric, threads=n) for n in (1, 4)]
            np.testing.assert_array_equal(*asked)
            shifts = [transform.shifts(rows, metric, threads=n) for n in (1, 4)]
            np.testing.assert_array_equal(*shifts)
    back = [transform.inverse(images, threads=n) for n in (1, 4)]
    np.testing.assert_array_equal(*back)


def test_progress_can_stop_it(normal: Any) -> None:
    seen: list[tuple[str, int, int]] = []
    rows = normal(1000, DIM)
    MADE["rotation"]().data(rows, progress=lambda *step: seen.append(step))
    assert seen[-1] == ("transforming", 1000, 1000)
    with pytest.raises(vicinal.CancelledError):
        MADE["rotation"]().data(rows, progress=lambda *_: False)


def test_equal_and_not(transform: Transform) -> None:
    others = [make() for make in MADE.values()]
    assert [transform == other for other in others].count(True) == 1
    twins = (
        copy.deepcopy(transform),
        pickle.loads(pickle.dumps(transform)),
        next(other for other in others if other == transform),
    )
    for twin in twins:
        assert twin == transform
        assert hash(twin) == hash(transform)
        assert len({twin, transform}) == 1
    assert transform != "transform"


def test_what_it_returns_is_a_copy() -> None:
    transform = MADE["whitening with offset"]()
    want = MADE["whitening with offset"]()
    for part in (transform.data_matrix, transform.query_matrix, transform.offset):
        part[...] = 7
    assert transform == want
    matrix = rotation().astype(np.float32)
    kept = Transform(matrix)
    before = kept.data_matrix
    matrix[...] = 7
    np.testing.assert_array_equal(kept.data_matrix, before)


def test_saved_and_loaded(transform: Transform, tmp_path: Path) -> None:
    path = tmp_path / "turn"
    transform.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["turn"]
    assert Transform.load(path) == transform
    before = path.read_bytes()
    transform.save(str(path))
    assert path.read_bytes() == before
    with np.load(path) as arrays:
        assert set(arrays) in ({"data", "query", "offset"}, {"rotation"})


@pytest.mark.parametrize("name", ["whitening with offset", "fast rotation"])
def test_damaged_files(name: str, tmp_path: Path) -> None:
    path = tmp_path / "turn"
    transform = MADE[name]()
    transform.save(path)
    good = path.read_bytes()
    broken = [good[:n] for n in range(0, len(good), 101)]
    broken += [
        good[:at] + bytes([good[at] ^ bit]) + good[at + 1 :]
        for at in range(0, len(good), 53)
        for bit in (0x01, 0x80)
    ]
    refused = 0
    for content in broken:
        path.write_bytes(content)
        try:
            loaded = Transform.load(path)
        except vicinal.FormatError:
            refused += 1
        else:
            assert loaded == transform  # the byte said nothing
    assert refused > len(broken) // 4
    path.write_bytes(good[:-1])
    with pytest.raises(vicinal.FormatError) as caught:
        Transform.load(path)
    assert caught.value.path == str(path)


EYE = np.eye(3, dtype=np.float32)
FOREIGN: list[tuple[str, dict[str, Any], str]] = [
    ("other arrays", {"data": EYE, "query": EYE}, "arrays data, query; wanted data, query, off"),
    ("one more", {"data": EYE, "query": EYE, "offset": EYE[0], "more": EYE}, "arrays data, query"),
    ("no arrays", {}, r"arrays \(none\)"),
    ("float64", {"data": EYE, "query": EYE, "offset": np.zeros(3)}, "offset holds float64"),
    ("shapes", {"data": EYE, "query": EYE[:2], "offset": EYE[0]}, "query is 2 x 3; wanted 3 x 3"),
    ("nan", {"data": EYE, "query": EYE, "offset": EYE[0] * np.nan}, "offset holds nan"),
    ("empty", {"data": EYE[:0], "query": EYE[:0], "offset": EYE[0]}, "data is 0 x 3"),
    ("signed", {"rotation": np.array([3, 1])}, "rotation is .* int64; wanted"),
    ("long", {"rotation": np.array([3, 1, 2], np.uint64)}, "rotation is .*; wanted"),
    ("wide", {"rotation": np.array([2**40, 1], np.uint64)}, "rotation has 1099511627776 dim"),
    ("none", {"rotation": np.array([0, 1], np.uint64)}, "rotation has 0 dim"),
    ("seed", {"rotation": np.array([3, 2**64 - 1], np.uint64)}, "seed must be from 0"),
]


@pytest.mark.parametrize(("arrays", "says"), [pytest.param(*f[1:], id=f[0]) for f in FOREIGN])
def test_files_of_others(arrays: dict[str, Any], says: str, tmp_path: Path) -> None:
    write_npz(tmp_path / "a", arrays)
    with pytest.raises(vicinal.FormatError, match=says):
        Transform.load(tmp_path / "a")


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Transform.load(tmp_path / "absent")
    with pytest.raises(FileNotFoundError):
        MADE["rotation"]().save(tmp_path / "absent" / "turn")
    (tmp_path / "b").write_bytes(b"PK\5\6" + bytes(18))  # an empty zip file
    with pytest.raises(vicinal.FormatError, match="none"):
        Transform.load(tmp_path / "b")
    assert zipfile.is_zipfile(tmp_path / "b")


Error, Wide = vicinal.ArgumentError, vicinal.DimensionError
MAKING: list[tuple[str, tuple[Any, ...], type[Exception], str]] = [
    ("vector", ([1, 2],), Error, "data has 1 dimensions; wanted 2"),
    ("cube", (np.zeros((1, 1, 1)),), Error, "data has 3 dimensions; wanted 2"),
    ("empty", (np.zeros((0, 3)),), Error, "data is 0 x 3; wanted 1 to 32768"),
    ("too wide", (np.zeros((1, 32769)),), Error, "data is 1 x 32769; wanted"),
    ("ragged", ([[1, 2], [3]],), Error, "data is not a rectangular array"),
    ("text", ("abc",), TypeError, "data holds <U3; wanted numbers"),
    ("bool", (EYE == 1,), TypeError, "data holds bool; wanted numbers"),
    ("complex", (EYE * 1j,), TypeError, "data holds complex64; wanted numbers"),
    ("masked", (np.ma.masked_all((2, 2)),), TypeError, "data is a masked array"),
    ("nan", ([[1, 0], [np.nan, 1]],), Error, "data holds nan in row 1, column 0"),
    ("beyond float32", ([[1, 1e39]],), Error, "data holds inf in row 0, column 1"),
    ("query shape", (EYE, EYE[:2]), Error, "query is 2 x 3; wanted 3 x 3 as data is"),
    ("query inf", (EYE, np.full((3, 3), np.inf)), Error, "query holds inf in row 0, column 0"),
    ("offset matrix", (EYE, None, EYE), Error, "offset has 2 dimensions; wanted 1"),
    ("offset length", (EYE, EYE, [1, 2]), Error, "offset has 2 numbers; wanted 3"),
    ("offset nan", (EYE, EYE, [1, 2, np.nan]), Error, "offset holds nan in row 0, column 2"),
]


@pytest.mark.parametrize(
    ("arguments", "error", "says"), [pytest.param(*m[1:], id=m[0]) for m in MAKING]
)
def test_making_one_of_nonsense(
    arguments: tuple[Any, ...], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        Transform(*arguments)


ARRAYS: list[tuple[str, Any, type[Exception], str]] = [
    ("too wide", np.zeros((2, DIM + 1)), Wide, "{} has 21 columns; this transform takes 20"),
    ("no columns", [], Wide, "{} has 0 columns"),
    ("three dimensions", np.zeros((1, 2, DIM)), Error, "{} has 3 dimensions; wanted 2"),
    ("text", "vector", TypeError, "{} holds <U6; wanted"),
    ("nan", np.full((3, DIM), np.nan), Error, "{}.*row 0.*column 0.*nan"),
    ("beyond float32", np.full((3, DIM), 1e39), Error, "{}.*row 0.*float32"),
]
METHODS: list[tuple[str, str, tuple[Any, ...]]] = [
    ("data", "vectors", ()),
    ("queries", "queries", ("ip",)),
    ("shifts", "queries", ("l2",)),
    ("inverse", "transformed", ()),
]


@pytest.mark.parametrize(("method", "argument", "rest"), METHODS)
@pytest.mark.parametrize(
    ("value", "error", "says"), [pytest.param(*a[1:], id=a[0]) for a in ARRAYS]
)
def test_vectors_that_are_none(
    method: str, argument: str, rest: Any, value: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says.format(argument)):
        getattr(MADE["rotation"](), method)(value, *rest)


@pytest.mark.parametrize(("method", "_argument", "rest"), METHODS)
def test_other_arguments(method: str, _argument: str, rest: Any) -> None:
    call = getattr(MADE["rotation"](), method)
    with pytest.raises(Error, match="threads must be from 1 to 1024, got 0"):
        call(np.zeros((1, DIM)), *rest, threads=0)
    if rest:
        with pytest.raises(Error, match="metric must be one of 'l2', 'ip', 'cosine', got 'angle'"):
            call(np.zeros((1, DIM)), "angle")
    for question in (MADE["rotation"]().fits, MADE["rotation"]().exact):
        with pytest.raises(Error, match="metric must be one of"):
            question("angle")


@pytest.mark.parametrize(
    ("dim", "seed", "says"),
    [(0, 1, "dim must be from 1"), (32769, 1, "dim must be from 1"), (3, -1, "seed must be from")],
)
def test_making_a_rotation_of_nonsense(dim: int, seed: int, says: str) -> None:
    with pytest.raises(Error, match=says):
        Transform.rotation(dim, seed)


def test_what_float32_cannot_hold(normal: Any) -> None:
    grows = Transform(np.full((2, DIM), 1e30))
    rows = normal(300, DIM)
    rows[[217, 290]] = 1e20
    for threads in (1, 4):
        with pytest.raises(Error, match="vectors row 217 is too large"):
            grows.data(rows, threads=threads)
        with pytest.raises(Error, match="queries row 217 is too large"):
            grows.queries(rows, "ip", threads=threads)
