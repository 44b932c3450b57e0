"""HDF5, Parquet and Arrow through the real h5py and pyarrow; data sets; missing packages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vicinal import io as vio
from vicinal.errors import ArgumentError, FormatError

h5py = pytest.importorskip("h5py")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

TABLES = [".parquet", ".pq", ".feather", ".arrow", ".ipc"]
TYPES = ["f2", "f4", "f8", "i1", "u1"]


def matrix(dtype: str = "f4", rows: int = 7, dim: int = 5) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 100, (rows, dim)).astype(dtype)


def save_table(path: Path, table: Any, **options: Any) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path, **options)
    else:
        with pa.ipc.new_file(str(path), table.schema) as writer:
            writer.write_table(table, **options)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("suffix", [*TABLES, ".hdf5", ".h5"])
def test_round_trip(tmp_path: Path, suffix: str, dtype: str) -> None:
    path = tmp_path / f"a{suffix}"
    want = matrix(dtype)
    vio.write(path, want)
    got = vio.read(path)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(vio.read(path, rows=3), want[:3])
    np.testing.assert_array_equal(vio.read(path, rows=slice(1, 6, 2)), want[1:6:2])
    assert vio.read(path, rows=0).shape[0] == 0
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".hdf5"])
def test_backward_rows_are_the_callers_mistake(tmp_path: Path, suffix: str) -> None:
    vio.write(tmp_path / f"a{suffix}", matrix())
    for rows in (-1, slice(None, None, -1)):
        with pytest.raises(ArgumentError, match="rows"):
            vio.read(tmp_path / f"a{suffix}", rows=rows)


@pytest.mark.parametrize("suffix", [*TABLES, ".hdf5"])
def test_no_rows(tmp_path: Path, suffix: str) -> None:
    vio.write(tmp_path / f"a{suffix}", np.empty((0, 5), "f4"))
    assert vio.read(tmp_path / f"a{suffix}").shape == (0, 5)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_ids_beside_vectors(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    vio.write_table(path, matrix(), key="embedding", ids=[9, 8, 7, 6, 5, 4, 3])
    got = vio.read_table(path, ids="id", rows=slice(1, None, 3))
    assert got.ids is not None
    assert got.ids.tolist() == [8, 5]
    np.testing.assert_array_equal(got.vectors, matrix()[1::3])
    assert vio.read_ids(path).tolist() == [9, 8, 7, 6, 5, 4, 3]
    with pytest.raises(ValueError, match="ids has shape"):
        vio.write_table(path, matrix(), ids=[1])


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
@pytest.mark.parametrize("kind", ["list", "large_list", "fixed"])
def test_lists_in_many_groups(tmp_path: Path, suffix: str, kind: str) -> None:
    want = matrix("f4", rows=1000, dim=3)
    types = {
        "list": pa.list_(pa.float32()),
        "large_list": pa.large_list(pa.float32()),
        "fixed": pa.list_(pa.float32(), 3),
    }
    columns = {
        "name": pa.array(["x"] * 1000),
        "v": pa.array(want.tolist(), types[kind]),
        "n": pa.array(range(1000), pa.uint16()),
    }
    path = tmp_path / f"a{suffix}"
    size = {"row_group_size": 70} if suffix == ".parquet" else {"max_chunksize": 70}
    save_table(path, pa.table(columns), **size)
    np.testing.assert_array_equal(vio.read(path), want)
    got = vio.read_table(path, key="v", ids="n", rows=slice(65, 905, 7))
    np.testing.assert_array_equal(got.vectors, want[65:905:7])
    assert got.ids is not None
    np.testing.assert_array_equal(got.ids, np.arange(65, 905, 7))


def test_arrow_in_one_batch_is_mapped(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    vio.write(path, np.zeros((20_000, 64), "f4"))
    before = pa.total_allocated_bytes()
    got = vio.read(path)
    assert got.base is not None
    assert not got.flags.writeable
    assert pa.total_allocated_bytes() - before < got.nbytes // 10


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_columns_that_do_not_fit(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    rows = [[1.0, 2.0], [3.0, 4.0]]
    table = pa.table(
        {
            "a": pa.array(rows, pa.list_(pa.float32())),
            "b": pa.array(rows, pa.list_(pa.float64())),
            "text": pa.array(["x", "y"]),
            "words": pa.array([["x"], ["y"]]),
        }
    )
    save_table(path, table)
    with pytest.raises(ValueError, match="those of a fitting type: a, b") as caught:
        vio.read(path)
    assert not isinstance(caught.value, FormatError)
    assert vio.read(path, key="b").dtype == np.float64
    with pytest.raises(ValueError, match="0 columns 'c'"):
        vio.read(path, key="c")
    for key in ("text", "words"):
        with pytest.raises(ValueError, match=f"column '{key}' is"):
            vio.read(path, key=key)
    with pytest.raises(ValueError, match="wanted whole numbers"):
        vio.read_table(path, key="a", ids="text")


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([[1.0, 2.0], [1.0], [1.0, 2.0]], "row 1 has 1 values, wanted 2"),
        ([[1.0, 2.0], [1.0, 2.0], None], "row 2 has no vector"),
        ([[1.0, 2.0], [1.0, None], [1.0, 2.0]], "row 1 has an absent value"),
        ([[], []], "row 0 has 0 values"),
    ],
)
def test_rows_that_are_no_vectors(tmp_path: Path, suffix: str, rows: list[Any], said: str) -> None:
    path = tmp_path / f"a{suffix}"
    save_table(path, pa.table({"v": pa.array(rows, pa.list_(pa.float32()))}))
    with pytest.raises(FormatError, match=said):
        vio.read(path)


def test_absent_ids_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = {"v": pa.array([[1.0], [2.0]], pa.list_(pa.float32())), "id": pa.array([1, None])}
    save_table(path, pa.table(table))
    with pytest.raises(FormatError, match="no value in row 1"):
        vio.read_table(path, ids="id")
    with pytest.raises(FormatError, match="no value in row 1"):
        vio.read_ids(path)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".hdf5"])
def test_every_truncation_is_a_format_error(tmp_path: Path, suffix: str) -> None:
    whole = tmp_path / f"whole{suffix}"
    vio.write(whole, matrix("f4", rows=40, dim=8))
    data = whole.read_bytes()
    path = tmp_path / f"cut{suffix}"
    for length in [*range(0, len(data), 37), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(FormatError) as caught:
            vio.read(path)
        assert caught.value.path == str(path)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".hdf5"])
def test_other_files_under_the_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    for content in (b"", b"\0" * 5000, b"PAR1" + bytes(100) + b"PAR1", b"ARROW1\0\0" * 20):
        path.write_bytes(content)
        with pytest.raises(FormatError):
            vio.read(path)
    with pytest.raises(FileNotFoundError):
        vio.read(tmp_path / f"absent{suffix}")


def test_arrow_offsets_are_checked(tmp_path: Path) -> None:
    """Arrow itself would follow offsets that a damaged file holds out of the mapping."""
    path = tmp_path / "a.arrow"
    rows = pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], pa.list_(pa.float32()))
    save_table(path, pa.table({"v": rows}))
    data = path.read_bytes()
    offsets = np.array([0, 2, 4, 6], "<i4").tobytes()
    assert data.count(offsets) == 1
    wild = np.array([0, 2, 4, 2**30], "<i4").tobytes()
    path.write_bytes(data.replace(offsets, wild))
    with pytest.raises(FormatError):
        vio.read(path)


def test_hdf5_keys_and_types(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        file["train"] = matrix()
        file["text"] = np.array([b"x"])
        file["cube"] = np.zeros((2, 2, 2))
        file.create_group("group")
        file.create_dataset("packed", data=matrix(), compression="gzip", chunks=(2, 5))
    np.testing.assert_array_equal(vio.read(path, key="packed", rows=slice(1, 4)), matrix()[1:4])
    for key, said in [("x", "no dataset 'x'"), ("group", "is a group")]:
        with pytest.raises(ValueError, match=said) as caught:
            vio.read(path, key=key)
        assert not isinstance(caught.value, FormatError)
    for key in ("text", "cube"):
        with pytest.raises(FormatError, match="wanted"):
            vio.read(path, key=key)


def test_hdf5_is_mapped_when_in_one_piece(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    vio.write(path, matrix())
    assert not vio.read(path).flags.writeable
    assert vio.read(path, mmap=False).flags.writeable


def test_hdf5_that_points_elsewhere_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(80))
    vio.write(tmp_path / "other.hdf5", matrix())
    path = tmp_path / "a.hdf5"
    layout = h5py.VirtualLayout((7, 5), "f4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.hdf5"), "train", (7, 5))
    with h5py.File(path, "w") as file:
        file["link"] = h5py.ExternalLink("other.hdf5", "train")
        file["folder"] = h5py.ExternalLink("other.hdf5", "/")
        file["soft"] = h5py.SoftLink("/link")
        file["plain"] = matrix()
        file["alias"] = h5py.SoftLink("/plain")
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("raw", (10, 2), "f4", external=[(str(secret), 0, 80)])
    for key in ("link", "folder/train", "soft", "virtual", "raw"):
        with pytest.raises(FormatError, match="another file"):
            vio.read(path, key=key)
    assert np.array_equal(vio.read(path, key="alias"), matrix())


def test_hdf5_that_claims_what_it_does_not_store(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        file.create_dataset("train", (1 << 40, 1 << 10), "f4", chunks=(1024, 1024))
    with pytest.raises(FormatError, match="claims"):
        vio.read(path)


@pytest.mark.parametrize(
    ("metric", "name", "distances"),
    [("l2", "euclidean", [[4.0, 9.0]]), ("cosine", "angular", [[0.5, 0.75]])],
)
def test_data_sets(tmp_path: Path, metric: str, name: str, distances: list[list[float]]) -> None:
    path = tmp_path / "a.hdf5"
    want = vio.Dataset(
        matrix(), matrix(rows=1), metric, np.array([[3, 1]]), np.array(distances, np.float32)
    )
    vio.write_dataset(path, want)
    with h5py.File(path) as file:
        assert file.attrs["distance"] == name
        if metric == "l2":  # the layout keeps distances, this library their squares
            assert file["distances"][:].tolist() == [[2.0, 3.0]]
    got = vio.read_dataset(path)
    assert got.metric == metric
    assert got.neighbors is not None
    assert got.neighbors.tolist() == [[3, 1]]
    np.testing.assert_array_equal(got.distances, want.distances)
    np.testing.assert_array_equal(got.base, want.base)


def test_data_sets_in_npz(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, base=matrix(), query=matrix(rows=2), gt=np.array([[0], [6]]))
    got = vio.read_dataset(path)
    assert (got.metric, len(got.queries)) == (None, 2)
    np.savez(path, base=matrix())
    with pytest.raises(ValueError, match="wanted one of base"):
        vio.read_dataset(path)
    with pytest.raises(ValueError, match="suffix"):
        vio.read_dataset(tmp_path / "a.fvecs")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"query": np.zeros((2, 4))}, "queries have 4 columns, wanted 5"),
        ({"query": np.zeros(5)}, "queries has 1 dimensions"),
        ({"gt": np.zeros((3, 1), int)}, "one row for each of 2 queries"),
        ({"gt": np.zeros((2, 1))}, "wanted whole numbers"),
        ({"gt": np.array([[0], [7]])}, "wanted rows below 7"),
        ({"gt": np.array([[0], [-2]])}, "wanted rows below 7"),
    ],
)
def test_data_sets_that_do_not_fit(
    tmp_path: Path, arrays: dict[str, np.ndarray], said: str
) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **{"base": matrix(), "query": matrix(rows=2), **arrays})
    with pytest.raises(FormatError, match=said):
        vio.read_dataset(path)


def test_data_set_with_another_distance(tmp_path: Path) -> None:
    vio.write_hdf5(tmp_path / "a.hdf5", {"train": matrix(), "test": matrix()}, distance="jaccard")
    with pytest.raises(ValueError, match="jaccard"):
        vio.read_dataset(tmp_path / "a.hdf5")


@pytest.mark.parametrize(
    ("suffix", "package"), [(".parquet", "pyarrow"), (".arrow", "pyarrow"), (".h5", "h5py")]
)
def test_a_missing_package_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, package: str
) -> None:
    path = tmp_path / f"a{suffix}"
    path.touch()
    monkeypatch.setitem(sys.modules, package, None)
    for work in (lambda: vio.read(path), lambda: vio.write(path, matrix())):
        with pytest.raises(ImportError, match=f"pip install {package}"):
            work()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), suffix=st.sampled_from([".parquet", ".arrow", ".hdf5"]))
def test_any_matrix_comes_back(tmp_path: Path, data: st.DataObject, suffix: str) -> None:
    dtype = data.draw(st.sampled_from(TYPES))
    shape = st.tuples(st.integers(1, 9), st.integers(1, 9))
    want = data.draw(hnp.arrays(np.dtype(dtype), shape))
    path = tmp_path / f"a{suffix}"
    vio.write(path, want.T)
    assert vio.read(path).tobytes() == want.T.tobytes()
