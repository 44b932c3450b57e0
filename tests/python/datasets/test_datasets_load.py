"""Named sets and local files as base, queries and true neighbours."""

from __future__ import annotations

import io
import mmap
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from file_server import FileServer

import vicinal
import vicinal.io as vio
from vicinal import datasets
from vicinal.datasets import Entry, Remote
from vicinal.demo import load as load_demo
from vicinal.evaluate import ground_truth

Array = npt.NDArray[Any]
ROWS, QUERIES, K = 600, 20, 10
#: What a distance attribute says, how its distances follow from ours, and our metric.
WRITTEN = {
    "euclidean": ("l2", np.sqrt),
    "angular": ("cosine", lambda d: d),
    "cosine": ("cosine", lambda d: d),
    "normalized": ("cosine", lambda d: d),
    "ip": ("ip", lambda d: d),
    "dot": ("ip", lambda d: -d),
}


@pytest.fixture(scope="module")
def base() -> Array:
    """Real rows, of unequal lengths so that the three metrics differ."""
    rows = load_demo().vectors[:ROWS].astype(np.float32)
    return rows * np.linspace(0.8, 1.25, ROWS, dtype=np.float32)[:, None]


@pytest.fixture(scope="module")
def queries() -> Array:
    return load_demo().query_vectors[:QUERIES].astype(np.float32) * np.float32(1.1)


@pytest.fixture(scope="module")
def truths(base: Array, queries: Array) -> dict[str, vicinal.Neighbors]:
    return {m: ground_truth(base, queries, K, m) for m in ("l2", "ip", "cosine")}


def is_mapped(array: Array) -> bool:
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) or isinstance(array.base, mmap.mmap):
            return True
        array = array.base  # type: ignore[assignment]
    return False


def check(data: datasets.Dataset, base: Array, queries: Array, truth: vicinal.Neighbors) -> None:
    np.testing.assert_array_equal(data.base, base)
    np.testing.assert_array_equal(data.queries, queries)
    assert data.neighbors is not None
    np.testing.assert_array_equal(data.neighbors, truth.ids)
    assert data.distances is not None
    assert data.distances.dtype == np.float32
    np.testing.assert_allclose(data.distances, truth.distances, rtol=1e-5, atol=1e-6)


def write_hdf5(
    path: Path, base: Array, queries: Array, truths: dict[str, vicinal.Neighbors], word: str
) -> vicinal.Neighbors:
    metric, written = WRITTEN[word]
    truth = truths[metric]
    arrays = {
        "train": base,
        "test": queries,
        "neighbors": truth.ids,
        "distances": written(truth.distances.astype(np.float64)),
    }
    vio.write_hdf5(path, arrays, distance=word)
    return truth


@pytest.mark.parametrize("word", WRITTEN)
def test_hdf5_of_each_project_is_read(
    word: str,
    tmp_path: Path,
    base: Array,
    queries: Array,
    truths: dict[str, vicinal.Neighbors],
) -> None:
    path = tmp_path / "set.hdf5"
    truth = write_hdf5(path, base, queries, truths, word)
    data = datasets.load(path)
    assert data.metric == WRITTEN[word][0]
    assert (data.name, data.files, data.dim) == ("set", (path,), base.shape[1])
    check(data, base, queries, truth)
    assert is_mapped(data.base)
    assert not is_mapped(datasets.load(path, mmap=False).base)


def test_a_named_set_comes_from_a_server(
    server: FileServer,
    tmp_path: Path,
    base: Array,
    queries: Array,
    truths: dict[str, vicinal.Neighbors],
) -> None:
    path = tmp_path / "made.hdf5"
    truth = write_hdf5(path, base, queries, truths, "euclidean")
    server.put("sift-128-euclidean.hdf5", path.read_bytes())
    data = datasets.load("sift-128-euclidean", base_url=server.url)
    check(data, base, queries, truth)
    assert data.metric == "l2"
    assert data.source == "http://corpus-texmex.irisa.fr"
    assert data.citation is not None
    assert "Jegou" in data.citation
    assert "600 x 384 float32, l2, 20 queries, 10 true neighbours each" in repr(data)
    datasets.load("sift-128-euclidean", offline=True)
    assert len(server.requests) == 1


def test_a_big_ann_set_comes_in_three_files(
    server: FileServer,
    tmp_path: Path,
    base: Array,
    queries: Array,
    truths: dict[str, vicinal.Neighbors],
) -> None:
    truth = truths["ip"]
    for name, rows in (("base.1B.fbin", base), ("query.fbin", queries)):
        vio.write_bin(tmp_path / name, rows)
        server.put(f"set/{name}", (tmp_path / name).read_bytes())
    # Products, larger is nearer, as some tools write them; and no suffix.
    shape = np.array(truth.ids.shape, "<u4").tobytes()
    stored = (-truth.distances).astype("<f4").tobytes()
    server.put("GT/set", shape + truth.ids.astype("<i4").tobytes() + stored)
    own = Entry(
        "set-600",
        "big-ann",
        "ip",
        ROWS,
        base.shape[1],
        Remote("set/base.1B.fbin"),
        Remote("set/query.fbin"),
        Remote("GT/set"),
    )
    how: dict[str, Any] = {"registry": {"set-600": own}, "base_url": server.url}
    data = datasets.load("set-600", **how)
    check(data, base, queries, truth)
    assert data.citation is not None
    assert "Simhadri" in data.citation
    assert all(is_mapped(array) for array in (data.base, data.queries, data.neighbors))
    assert len(data.files) == 3

    part = datasets.load("set-600", rows=100, **how)
    np.testing.assert_array_equal(part.base, base[:100])
    assert part.neighbors is None, "the truth is about all rows"
    assert "true neighbours not known" in repr(part)


def test_a_set_without_an_index_for_it_can_be_fetched_but_not_loaded(server: FileServer) -> None:
    server.put("kosarak-jaccard.hdf5", b"sets of numbers")
    with pytest.raises(vicinal.ArgumentError, match=r"jaccard.*fetch"):
        datasets.load("kosarak-jaccard", base_url=server.url)
    assert server.requests == []
    assert datasets.fetch("kosarak-jaccard", base_url=server.url)[0].bytes == 15


def test_what_a_server_sends_is_not_trusted(
    server: FileServer, base: Array, queries: Array, tmp_path: Path
) -> None:
    server.put("sift-128-euclidean.hdf5", b"\x89HDF\r\n\x1a\n" + b"\0" * 500)
    with pytest.raises(vicinal.FormatError):
        datasets.load("sift-128-euclidean", base_url=server.url)
    arrays = {"train": base, "test": queries, "neighbors": np.full((QUERIES, K), ROWS)}
    vio.write_hdf5(tmp_path / "set.hdf5", arrays, distance="euclidean")
    server.put("gist-960-euclidean.hdf5", (tmp_path / "set.hdf5").read_bytes())
    with pytest.raises(vicinal.FormatError, match="wanted rows below"):
        datasets.load("gist-960-euclidean", base_url=server.url)


@pytest.mark.parametrize("word", ["hamming", "jaccard"])
def test_hdf5_under_another_distance_is_refused(
    word: str, tmp_path: Path, base: Array, queries: Array
) -> None:
    path = tmp_path / "set.h5"
    vio.write_hdf5(path, {"train": base, "test": queries}, distance=word)
    with pytest.raises(vicinal.ArgumentError, match=word):
        datasets.load(path)


def test_npz_of_the_benchmarks_is_read(
    tmp_path: Path, base: Array, queries: Array, truths: dict[str, vicinal.Neighbors]
) -> None:
    path = tmp_path / "set.npz"
    for word, metric in (("l2", "l2"), ("ip", "cosine")):
        truth = truths[metric]
        nearness = truth.distances if metric == "l2" else 1 - truth.distances
        vio.write_npz(
            path,
            {
                "base": base,
                "query": queries,
                "gt": truth.ids.astype(np.int32),
                "gtd": nearness,
                "metric": np.asarray(word),
            },
        )
        data = datasets.load(path)
        assert data.metric == metric
        check(data, base, queries, truth)
        with pytest.raises(vicinal.ArgumentError, match="says"):
            datasets.load(path, metric="ip")
        part = datasets.load(path, rows=7)
        assert (len(part.base), part.neighbors, part.distances) == (7, None, None)


@pytest.mark.parametrize("metric", [np.asarray("manhattan"), np.arange(3), np.asarray("x" * 5000)])
def test_npz_that_says_another_metric_is_refused(
    metric: Array, tmp_path: Path, base: Array, queries: Array
) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, base=base, query=queries, metric=metric)
    with pytest.raises(ValueError, match="metric"):
        datasets.load(path)


def npy(header: str) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def nested() -> bytes:
    packed = io.BytesIO()
    np.savez(packed, metric="l2")
    return packed.getvalue()


@pytest.mark.parametrize(
    "member",
    [
        nested(),
        npy("{'descr': '<U2', 'shape': (("),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': ()}") + b"cos\nsystem\n.",
    ],
    ids=["nested", "cut", "pickled"],
)
def test_npz_whose_metric_is_no_word_is_refused(
    member: bytes, tmp_path: Path, base: Array, queries: Array
) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, base=base, query=queries)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("metric.npy", member)
    with pytest.raises(vicinal.FormatError, match=r"set\.npz.*metric cannot be read"):
        datasets.load(path)


def test_npz_that_begins_before_its_file_is_refused(
    tmp_path: Path, base: Array, queries: Array
) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, metric="l2", base=base, query=queries)
    data = bytearray(path.read_bytes())
    end = data.rindex(b"PK\x05\x06") + 16  # where the directory begins, so all members as well
    data[end : end + 4] = (int.from_bytes(data[end : end + 4], "little") + 50).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(vicinal.FormatError, match=r"set\.npz"):
        datasets.load(path)


def test_npz_that_says_no_metric_needs_one(tmp_path: Path, base: Array, queries: Array) -> None:
    path = tmp_path / "set.npz"
    vio.write_npz(path, {"base": base, "query": queries})
    with pytest.raises(vicinal.ArgumentError, match="metric="):
        datasets.load(path)
    data = datasets.load(path, metric="cosine")
    assert (data.metric, data.neighbors) == ("cosine", None)
    with pytest.raises(vicinal.ArgumentError, match="wanted one of"):
        datasets.load(path, metric="euclid")


def test_texmex_files_are_found_beside_each_other(
    tmp_path: Path, base: Array, queries: Array, truths: dict[str, vicinal.Neighbors]
) -> None:
    with pytest.raises(FileNotFoundError):
        datasets.load(tmp_path / "no.hdf5")
    vio.write_vecs(tmp_path / "sift_base.fvecs", base)
    with pytest.raises(vicinal.ArgumentError, match=r"sift_query\.fvecs"):
        datasets.load(tmp_path / "sift_base.fvecs")
    vio.write_vecs(tmp_path / "sift_query.fvecs", queries)
    assert datasets.load(tmp_path / "sift_base.fvecs").neighbors is None
    vio.write_vecs(tmp_path / "sift_groundtruth.ivecs", truths["l2"].ids)
    data = datasets.load(tmp_path / "sift_base.fvecs")
    assert data.metric == "l2"
    np.testing.assert_array_equal(data.base, base)
    assert data.neighbors is not None
    np.testing.assert_array_equal(data.neighbors, truths["l2"].ids)
    assert data.distances is None, "the file has none"
    assert is_mapped(data.base)
    with pytest.raises(vicinal.ArgumentError, match="from_files"):
        datasets.load(tmp_path / "sift_query.fvecs")


@pytest.mark.parametrize("with_distances", [True, False])
def test_files_of_any_names_are_put_together(
    with_distances: bool,
    tmp_path: Path,
    base: Array,
    queries: Array,
    truths: dict[str, vicinal.Neighbors],
) -> None:
    truth = truths["cosine"]
    np.save(tmp_path / "a.npy", base)
    vio.write_bin(tmp_path / "b.fbin", queries)
    vio.write_bin(tmp_path / "c.ibin", truth.ids)
    if with_distances:
        with open(tmp_path / "c.ibin", "ab") as file:
            file.write(truth.distances.astype("<f4").tobytes())
    paths = [tmp_path / name for name in ("a.npy", "b.fbin", "c.ibin")]
    data = datasets.from_files(*paths, metric="cosine", name="mine")
    assert (data.name, data.files) == ("mine", tuple(paths))
    assert data.neighbors is not None
    np.testing.assert_array_equal(data.neighbors, truth.ids)
    if with_distances:
        check(data, base, queries, truth)
    else:
        assert data.distances is None
    assert len(datasets.from_files(*paths, metric="cosine", rows=5).base) == 5
    for how in ({"metric": "l1"}, {"rows": 0}):
        with pytest.raises(vicinal.ArgumentError):
            datasets.from_files(*paths, **how)  # type: ignore[arg-type]


def test_files_that_do_not_fit_each_other_are_refused(tmp_path: Path, base: Array) -> None:
    np.save(tmp_path / "a.npy", base)
    np.save(tmp_path / "b.npy", base[:, :-1])
    with pytest.raises(vicinal.FormatError, match="columns"):
        datasets.from_files(tmp_path / "a.npy", tmp_path / "b.npy")
    (tmp_path / "c.bin").write_bytes(b"\1\0\0\0\1\0\0\0")
    with pytest.raises(vicinal.FormatError):
        datasets.from_files(tmp_path / "a.npy", tmp_path / "a.npy", tmp_path / "c.bin")


@pytest.mark.parametrize(
    ("metric", "written"),
    [
        ("l2", lambda d: d),
        ("l2", np.sqrt),
        ("ip", lambda d: d),
        ("ip", np.negative),
        ("ip", lambda d: 1 + d),
        ("cosine", lambda d: d),
        ("cosine", lambda d: 1 - d),
        ("cosine", lambda d: d - 1),
        ("cosine", lambda d: np.sqrt(2 * d)),
        ("cosine", lambda d: 2 * d),
    ],
)
def test_distances_are_understood_however_they_are_written(
    metric: str, written: Any, base: Array, queries: Array, truths: dict[str, vicinal.Neighbors]
) -> None:
    truth = truths[metric]
    stored = written(truth.distances.astype(np.float64)).astype(np.float32)
    found = datasets.truth.settle(base, queries, truth.ids, stored, metric)
    np.testing.assert_allclose(found, truth.distances, rtol=1e-4, atol=1e-5)


def test_distances_that_mean_nothing_known_are_left_out(
    tmp_path: Path, base: Array, queries: Array, truths: dict[str, vicinal.Neighbors]
) -> None:
    truth = truths["l2"]
    for factor in (0.0, 1.02, 3.0, np.nan):
        arrays = {"train": base, "test": queries, "neighbors": truth.ids}
        arrays["distances"] = truth.distances * np.float32(factor)
        vio.write_hdf5(tmp_path / "set.hdf5", arrays, distance="euclidean")
        data = datasets.load(tmp_path / "set.hdf5")
        assert data.neighbors is not None
        assert data.distances is None


def test_a_set_is_written_and_read_again(
    tmp_path: Path, base: Array, queries: Array, truths: dict[str, vicinal.Neighbors]
) -> None:
    path, other = tmp_path / "one.hdf5", tmp_path / "two.hdf5"
    truth = write_hdf5(path, base, queries, truths, "euclidean")
    vio.write_dataset(other, datasets.load(path))
    check(datasets.load(other), base, queries, truth)
