"""Codecs alone and inside indexes: every codec keeps the same promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import vicinal
from vicinal import codecs
from vicinal.params import as_codec

TEXTS = [
    "float32",
    "float16",
    "float8",
    "sq8",
    "sq4",
    "sq4x8",
    "pq12",
    "pq16x4",
    "pq12+anisotropic",
    "rq6",
    "rabitq1",
    "rabitq2",
    "rabitq3",
    "rabitq4",
    "rabitq4+uniform",
    "rabitq8",
    "signs",
    "signs+median",
    "signs+rotated",
]
#: Their scores are estimates for the vector itself, not distances of decode().
#: The packaged vectors are all of length 1, where product codes score by half a distance.
ESTIMATES = {
    "l2": ("rabitq", "rq", "signs"),
    "ip": ("rabitq", "pq"),
    "cosine": ("rabitq", "pq"),
}


def words(n: int) -> npt.NDArray[Any]:
    """Real vectors: the first n of the packaged set."""
    path = Path(vicinal.__file__).parent / "data" / "wordnet-10k.npz"
    with np.load(path) as file:
        rows: npt.NDArray[Any] = file["base"][:n].astype(np.float32)
    return rows


@pytest.fixture(scope="module")
def rows() -> npt.NDArray[Any]:
    return words(3000)


@pytest.fixture(params=TEXTS)
def text(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def metric_of(text: str) -> str:
    """A metric that the codec serves."""
    return "ip" if "anisotropic" in text else "l2"


def test_text_names_the_codec(text: str) -> None:
    codec = as_codec(text)
    assert str(codec) == text.replace("pq12", "pq12x8")
    assert as_codec(str(codec)) == codec
    assert as_codec(codec) == codec
    assert vicinal.FlatParams.from_dict(vicinal.FlatParams(codec).to_dict()).codec == codec


def test_encode_and_decode(text: str, rows: npt.NDArray[Any]) -> None:
    trained = as_codec(text).train(rows, metric=metric_of(text))
    codes = trained.encode(rows)
    assert codes.dtype == np.uint8
    assert codes.shape == (len(rows), trained.bytes)
    assert trained.dim == rows.shape[1]
    back = trained.decode(codes)
    assert back.shape == rows.shape
    # Worth more than the mean row for any codec: least for sign bits about zero, whose decoded
    # rows are unit signs times one length.
    spread = ((rows - rows.mean(axis=0)) ** 2).sum()
    lost = ((rows - back) ** 2).sum()
    if not text.startswith("signs"):
        assert lost < spread
    assert np.array_equal(codes[7], trained.encode(rows[7:8])[0])


def test_same_codes_for_any_number_of_threads(text: str, rows: npt.NDArray[Any]) -> None:
    one = as_codec(text).train(rows, metric=metric_of(text), threads=1)
    three = as_codec(text).train(rows, metric=metric_of(text), threads=3)
    assert np.array_equal(one.encode(rows, threads=3), three.encode(rows, threads=1))


def test_distances_are_those_of_decoded_vectors(text: str, metric: str, rows: Any) -> None:
    if metric == "l2" and metric_of(text) != "l2":
        with pytest.raises(vicinal.ArgumentError, match="l2"):
            as_codec(text).train(rows, metric=metric)
        return
    trained = as_codec(text).train(rows, metric=metric)
    codes = trained.encode(rows[:200])
    queries = rows[-5:].astype(np.float64)
    got = trained.distances(rows[-5:], codes)
    back = trained.decode(codes).astype(np.float64)
    if metric == "cosine":
        queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    if text.startswith(ESTIMATES[metric]):
        # Unbiased, not equal: what they get wrong is of the size of what the code loses. Measured:
        # 0.597 for rq6 under l2, 0.79 for signs, 0.85 and more for the others.
        back = rows[:200].astype(np.float64)
    want = -queries @ back.T
    if metric == "l2":
        want = ((queries[:, None] - back[None]) ** 2).sum(-1)
    elif metric == "cosine":
        want = np.maximum(0, 1 + want)
    if text.startswith(ESTIMATES[metric]):
        assert np.corrcoef(got.ravel(), want.ravel())[0, 1] > 0.55
        return
    scale = float(np.abs(back).sum(-1).max() * np.abs(queries).max()) + float(np.abs(want).max())
    np.testing.assert_allclose(got, want, atol=scale * 1e-5)


def test_an_index_gives_the_distances_of_its_codec(text: str, rows: npt.NDArray[Any]) -> None:
    metric = metric_of(text)
    index = vicinal.FlatIndex(rows.shape[1], metric, codec=text)
    index.add(rows)
    assert str(index.params.codec) == str(as_codec(text))
    queries = rows[-20:] + np.float32(0.01)
    hits = index.search(queries, k=10)
    single = [index.search(query, k=10) for query in queries]
    assert np.array_equal(hits.ids, np.concatenate([one.ids for one in single]))
    assert np.array_equal(hits.distances, np.concatenate([one.distances for one in single]))
    trained = as_codec(text).train(rows, metric=metric)
    everything = trained.distances(queries, trained.encode(rows))
    order = np.sort(everything, axis=1)[:, :10]
    np.testing.assert_allclose(hits.distances, order, rtol=1e-5, atol=1e-5)


def test_graphs_over_codes_reach_the_same_neighbours(text: str, rows: npt.NDArray[Any]) -> None:
    refine = None if text == "float32" else "float32"
    index = vicinal.HNSWIndex(rows.shape[1], "cosine", codec=text, refine=refine)
    index.add(rows)
    exact = vicinal.FlatIndex(rows.shape[1], "cosine")
    exact.add(rows)
    queries = words(3100)[3000:]
    found = index.search(queries, k=10, ef=200).ids
    truth = exact.search(queries, k=10).ids
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, truth, strict=True)])
    assert recall > 0.9, recall


def test_files_keep_codecs(text: str, rows: npt.NDArray[Any], tmp_path: Path) -> None:
    for index in (
        vicinal.FlatIndex(rows.shape[1], metric_of(text), codec=text),
        vicinal.HNSWIndex(rows.shape[1], metric_of(text), codec=text, links=4, build_ef=16),
    ):
        index.add(rows[:1000])
        path = tmp_path / "index.vicinal"
        index.save(path)
        for mode in ("map", "load"):
            again = vicinal.open(path, mode=mode)
            assert again.params == index.params
            assert np.array_equal(again.search(rows[:9]).ids, index.search(rows[:9]).ids)
            again.add(rows[1000:1010])
            assert len(again) == 1010


WRONG = [
    (lambda: vicinal.PQ(0), vicinal.ArgumentError, "parts must be 1 to"),
    (lambda: vicinal.PQ(8, bits=5), vicinal.ArgumentError, "bits must be one of 8, 4"),
    (lambda: vicinal.PQ("8"), TypeError, "parts must be a whole number"),  # type: ignore[arg-type]
    (lambda: vicinal.RaBitQ(9), vicinal.ArgumentError, "bits must be 1 to 8"),
    (lambda: vicinal.RaBitQ(2, levels="odd"), vicinal.ArgumentError, "levels must be one of"),
    (lambda: vicinal.SignBits("none"), vicinal.ArgumentError, "threshold must be one of"),
    (lambda: vicinal.RQ(300), vicinal.ArgumentError, "levels must be 1 to 256"),
    (lambda: as_codec("pq8+beam3"), vicinal.ArgumentError, "codec must be one of"),
    (lambda: as_codec("rabitq2+odd"), vicinal.ArgumentError, "codec must be one of"),
    (lambda: codecs.TrainedCodec(), TypeError, "made by train"),
]


@pytest.mark.parametrize(("make", "error", "says"), WRONG)
def test_what_is_wrong_is_named(make: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        make()


def test_too_few_rows_to_learn_from(rows: npt.NDArray[Any]) -> None:
    index = vicinal.FlatIndex(rows.shape[1], codec="pq12")
    with pytest.raises(vicinal.ArgumentError, match="256"):
        index.add(rows[:255])
    assert len(index) == 0
    index.add(rows[:256])
    assert len(index) == 256


def test_more_parts_than_dimensions(rows: npt.NDArray[Any]) -> None:
    with pytest.raises(vicinal.ArgumentError, match="parts"):
        vicinal.FlatIndex(8, codec="pq9")
    with pytest.raises(vicinal.ArgumentError, match="parts"):
        vicinal.PQ(9).train(rows[:, :8])


def test_codes_of_another_width(rows: npt.NDArray[Any]) -> None:
    trained = vicinal.SQ8().train(rows)
    with pytest.raises(vicinal.ArgumentError, match="codes has 3 columns"):
        trained.decode(np.zeros((2, 3), np.uint8))
    with pytest.raises(TypeError, match="codes holds float32"):
        trained.decode(np.zeros((2, 3), np.float32))
    with pytest.raises(vicinal.DimensionError, match="vectors has 5 columns"):
        trained.encode(np.zeros((2, 5), np.float32))


def test_numpy_integers_are_whole_numbers() -> None:
    made = vicinal.PQ(parts=np.int64(8))  # type: ignore[arg-type]
    assert made == vicinal.PQ(parts=8)
    assert type(made.parts) is int
    assert vicinal.RaBitQ(np.uint8(4), seed=np.int32(3)) == vicinal.RaBitQ(4, seed=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="parts must be a whole number"):
        vicinal.PQ(parts=8.0)  # type: ignore[arg-type]
