"""npy, npz, fvecs/bvecs/ivecs and big-ann files: round trips, damage, hostile sizes."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vicinal import io as vio
from vicinal.errors import FormatError
from vicinal.io._check import replacing_file

PLAIN = {
    ".npy": "f4",
    ".npz": "f4",
    ".fvecs": "f4",
    ".bvecs": "u1",
    ".ivecs": "i4",
    ".fbin": "f4",
    ".u8bin": "u1",
    ".i8bin": "i1",
    ".ibin": "i4",
}


def matrix(dtype: str, rows: int = 7, dim: int = 5) -> np.ndarray:
    rng = np.random.default_rng(rows * 100 + dim)
    if np.dtype(dtype).kind == "f":
        return rng.standard_normal((rows, dim)).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, (rows, dim), dtype=dtype, endpoint=True)


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("suffix", PLAIN)
def test_round_trip(tmp_path: Path, suffix: str, mmap: bool) -> None:
    path = tmp_path / f"a{suffix}"
    want = matrix(PLAIN[suffix])
    vio.write(path, want)
    got = vio.read(path, mmap=mmap)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)
    assert os.listdir(tmp_path) == [path.name]  # no temporary left


@pytest.mark.parametrize(
    "rows", [0, 3, 100, slice(2, 5), slice(1, None, 2), slice(-2, None), slice(5, 2)]
)
@pytest.mark.parametrize("suffix", PLAIN)
def test_rows(tmp_path: Path, suffix: str, rows: int | slice) -> None:
    path = tmp_path / f"a{suffix}"
    want = matrix(PLAIN[suffix])
    vio.write(path, want)
    chosen = slice(0, rows) if isinstance(rows, int) else rows
    np.testing.assert_array_equal(vio.read(path, rows=rows), want[chosen])


@pytest.mark.parametrize("rows", [-1, slice(None, None, -1)])
def test_backward_rows_are_refused(tmp_path: Path, rows: int | slice) -> None:
    path = tmp_path / "a.npy"
    vio.write(path, matrix("f4"))
    with pytest.raises(ValueError, match="rows"):
        vio.read(path, rows=rows)


@pytest.mark.parametrize("suffix", PLAIN)
def test_no_rows(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    vio.write(path, np.empty((0, 5), PLAIN[suffix]))
    got = vio.read(path)
    # A file of rows with their own width has nowhere to keep the width of no rows.
    assert got.shape == ((0, 0) if suffix.endswith("vecs") else (0, 5))


@pytest.mark.parametrize("suffix", [s for s in PLAIN if s != ".npz"])
def test_mapping_does_not_copy(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    vio.write(path, np.zeros((50_000, 64), PLAIN[suffix]))
    tracemalloc.start()
    got = vio.read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert got.shape == (50_000, 64)
    assert not got.flags.writeable
    # Checking widths compares 50,000 of them: one byte each, and their indices if any is wrong.
    assert peak < 300_000 < got.nbytes


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("suffix", PLAIN)
def test_every_truncation_is_a_format_error(tmp_path: Path, suffix: str, mmap: bool) -> None:
    whole = tmp_path / f"whole{suffix}"
    vio.write(whole, matrix(PLAIN[suffix]))
    data = whole.read_bytes()
    row_bytes = 4 + 5 * np.dtype(PLAIN[suffix]).itemsize
    path = tmp_path / f"cut{suffix}"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        if suffix.endswith("vecs") and length % row_bytes == 0:
            continue  # fewer whole rows are a whole file
        with pytest.raises(FormatError) as caught:
            vio.read(path, mmap=mmap)
        assert str(path) in str(caught.value)
        assert caught.value.path == str(path)
        assert 0 <= caught.value.offset <= len(data)


@pytest.mark.parametrize("suffix", [s for s in PLAIN if s != ".npz"])
def test_one_byte_too_many_is_a_format_error(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    vio.write(path, matrix(PLAIN[suffix]))
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(FormatError):
        vio.read(path)


@pytest.mark.parametrize("suffix", PLAIN)
def test_flipped_bits_never_surprise(tmp_path: Path, suffix: str) -> None:
    """Damage gives other numbers or a FormatError; never another exception or a huge allocation."""
    whole = tmp_path / f"whole{suffix}"
    vio.write(whole, matrix(PLAIN[suffix]))
    data = whole.read_bytes()
    path = tmp_path / f"flipped{suffix}"
    refused = 0
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(flipped)
        try:
            assert vio.read(path).size <= 35
        except FormatError:
            refused += 1
        except ValueError as error:  # the name of the npz member was hit
            if suffix != ".npz" or "array" not in str(error):
                raise
    assert refused > 0


@pytest.mark.parametrize("suffix", [".fbin", ".u8bin", ".i8bin", ".ibin"])
@pytest.mark.parametrize("counts", [(0xFFFFFFFF, 0xFFFFFFFF), (1, 0xFFFFFFFF), (0x80000000, 2)])
def test_huge_counts_allocate_nothing(tmp_path: Path, suffix: str, counts: tuple[int, int]) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(struct.pack("<II", *counts) + bytes(64))
    with pytest.raises(FormatError, match="wanted"):
        vio.read(path, mmap=False)


@pytest.mark.parametrize("width", [0, -1, -(2**31), 2**31 - 1])
def test_impossible_widths(tmp_path: Path, width: int) -> None:
    path = tmp_path / "a.fvecs"
    path.write_bytes(struct.pack("<i", width) + bytes(20))
    with pytest.raises(FormatError):
        vio.read(path)


def test_a_row_of_another_width_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.fvecs"
    vio.write(path, matrix("f4", rows=9, dim=3))
    data = bytearray(path.read_bytes())
    data[16 * 6 : 16 * 6 + 4] = struct.pack("<i", 2)
    path.write_bytes(data)
    with pytest.raises(FormatError, match="row 6 has width 2, wanted 3") as caught:
        vio.read(path)
    assert caught.value.offset == 16 * 6
    assert len(vio.read(path, rows=6)) == 6  # rows before it are well


def npy_header(text: str, version: bytes = b"\x01\x00") -> bytes:
    body = text.encode("latin-1") + b"\n"
    size = struct.pack("<H", len(body)) if version[0] == 1 else struct.pack("<I", len(body))
    return b"\x93NUMPY" + version + size + body


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 8)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999, 0)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -8)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': ()}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1, 1)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 8)}",
        "{'descr': '<c8', 'fortran_order': False, 'shape': (1, 4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1.0, 8)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': ('1', 8)}",
        "{'descr': '<f4', 'shape': (1, 8)}",
        "{'descr': 'nonsense', 'fortran_order': False, 'shape': (1, 8)}",
        "(" * 5000,
        "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "-" * 9000 + "1, 8)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4611686018427387904)}",
        "__import__('os')",
        "",
    ],
)
def test_hostile_npy_headers(tmp_path: Path, header: str) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(npy_header(header) + bytes(32))
    with pytest.raises(FormatError):
        vio.read(path)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("vectors.npy", path.read_bytes())
    with pytest.raises(FormatError):
        vio.read(tmp_path / "a.npz")


def test_a_header_that_says_it_is_long_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x02\x00" + (2**32 - 1).to_bytes(4, "little"))
    with pytest.raises(FormatError, match="header of 4294967295 bytes"):
        vio.read(path)


def test_npy_versions(tmp_path: Path) -> None:
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 8)}"
    path = tmp_path / "a.npy"
    path.write_bytes(npy_header(text, b"\x02\x00") + bytes(32))
    assert vio.read(path).shape == (1, 8)
    path.write_bytes(npy_header(text, b"\x03\x00") + bytes(32))
    with pytest.raises(FormatError, match="version"):
        vio.read(path)


@pytest.mark.parametrize("mmap", [True, False])
def test_npy_of_other_orders(tmp_path: Path, mmap: bool) -> None:
    want = matrix("f4")
    for name, array in (("F", np.asfortranarray(want)), ("big", want.astype(">f4"))):
        np.save(tmp_path / f"{name}.npy", array)
        np.savez(tmp_path / f"{name}.npz", array)
        for suffix in (".npy", ".npz"):
            got = vio.read(tmp_path / (name + suffix), mmap=mmap, rows=slice(1, 6))
            np.testing.assert_array_equal(got, want[1:6])
            assert got.dtype.isnative


def test_written_npy_is_numpys(tmp_path: Path) -> None:
    want = matrix("f2")[:, ::2]
    vio.write(tmp_path / "a.npy", want)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), want)
    vio.write_npz(tmp_path / "a.npz", {"x": want, "n": 3}, compress=True)
    with np.load(tmp_path / "a.npz") as loaded:
        np.testing.assert_array_equal(loaded["x"], want)
        assert loaded["n"] == 3


def test_npz_keys(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, base=matrix("f4"), query=matrix("f4", rows=2))
    assert len(vio.read(path, key="query")) == 2
    assert len(vio.read(path)) == 7  # base is a usual name
    with pytest.raises(ValueError, match=r"no array 'x'; it has base, query") as caught:
        vio.read(path, key="x")
    assert not isinstance(caught.value, FormatError)
    np.savez(path, a=matrix("f4"), b=matrix("f4"))
    with pytest.raises(ValueError, match="choose one by key from a, b"):
        vio.read(path)


def test_npz_same_arrays_same_bytes(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        vio.write(tmp_path / name, matrix("f4"))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_npz_that_claims_what_deflate_cannot_hold(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    rows = 1 << 40
    head = npy_header(
        "{'descr': '|u1', 'fortran_order': False, 'shape': (%d, 1)}" % rows  # noqa: UP031
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vectors.npy", head + bytes(100))
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + 24  # uncompressed size in the central directory
    data[at : at + 4] = struct.pack("<I", 0xFFFFFFF0)
    path.write_bytes(data)
    with pytest.raises(FormatError, match="packed"):
        vio.read(path)


def test_npz_with_a_wrong_checksum(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    vio.write(path, np.zeros((4, 4), np.float32))
    data = bytearray(path.read_bytes())
    data[data.index(b"\n") + 5] = 1  # first value
    path.write_bytes(data)
    with pytest.raises(FormatError, match="CRC"):
        vio.read(path)


def test_npz_packed_by_other_methods_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, matrix("f4"))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("vectors.npy", buffer.getvalue())
    with pytest.raises(FormatError, match="compression"):
        vio.read(tmp_path / "a.npz")


def test_truth_with_distances(tmp_path: Path) -> None:
    ids, distances = matrix("i4"), matrix("f4")
    path = tmp_path / "gt.ibin"
    path.write_bytes(struct.pack("<II", 7, 5) + ids.tobytes() + distances.tobytes())
    np.testing.assert_array_equal(vio.read(path), ids)
    got = vio.read_truth_bin(path)
    np.testing.assert_array_equal(got[0], ids)
    np.testing.assert_array_equal(got[1], distances)
    path.write_bytes(path.read_bytes()[:-1])
    for reader in (vio.read, vio.read_truth_bin):
        with pytest.raises(FormatError):
            reader(path)


@pytest.mark.parametrize("suffix", [".bvecs", ".ivecs", ".u8bin", ".i8bin", ".ibin"])
@pytest.mark.parametrize("value", [2**40, -(2**40), 0.5, np.nan, np.inf])
def test_values_a_format_cannot_hold(tmp_path: Path, suffix: str, value: float) -> None:
    path = tmp_path / f"a{suffix}"
    with pytest.raises(ValueError, match="cannot hold"):
        vio.write(path, np.array([[1, value]]))
    assert os.listdir(tmp_path) == []  # neither the file nor a temporary


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((1, 2, 3)), np.array([["a"]])])
@pytest.mark.parametrize("suffix", [".fvecs", ".fbin"])
def test_what_is_no_matrix_is_refused(tmp_path: Path, suffix: str, array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="wanted"):
        vio.write(tmp_path / f"a{suffix}", array)


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.bvecs"
    vio.write(path, matrix("u1"))
    before = path.read_bytes()
    late = np.zeros((20_000, 2))
    late[-1] = 999  # found after a block has been written
    with pytest.raises(ValueError, match="cannot hold"):
        vio.write(path, late)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.bvecs"]


@pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")
def test_permissions_and_links_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "a.bvecs", tmp_path / "link.bvecs"
    before = os.umask(0o027)
    try:
        vio.write(path, matrix("u1"))
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640  # of a new file the umask decides
    path.chmod(0o600)
    with replacing_file(path):
        (made,) = tmp_path.glob(".a.bvecs.*.part")
        assert made.stat().st_mode & 0o777 == 0o600  # while it is written too
    path.chmod(0o666)
    vio.write(path, matrix("u1"))
    assert path.stat().st_mode & 0o777 == 0o666
    link.symlink_to(path.name)
    vio.write(link, matrix("u1", rows=2))
    assert link.is_symlink()
    assert len(vio.read(path)) == 2
    assert sorted(tmp_path.iterdir()) == [path, link]


def test_suffixes_and_keys(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"suffix is '\.csv', wanted one of \.npy"):
        vio.read(tmp_path / "a.csv")
    with pytest.raises(ValueError, match="wanted one of"):
        vio.write(tmp_path / "a", np.zeros((1, 1)))
    vio.write(tmp_path / "A.NPY", matrix("f4"))
    with pytest.raises(ValueError, match="one array only"):
        vio.read(tmp_path / "A.NPY", key="x")
    with pytest.raises(FileNotFoundError):
        vio.read(tmp_path / "absent.fvecs")
    (tmp_path / "folder.fbin").mkdir()
    with pytest.raises(IsADirectoryError):
        vio.read(tmp_path / "folder.fbin")


@pytest.mark.parametrize(
    ("name", "content", "want"),
    [
        ("a.txt", b"3\n\n-1\n9223372036854775807\r\n", [3, -1, 2**63 - 1]),
        ("a.ids", b"", []),
    ],
)
def test_text_ids(tmp_path: Path, name: str, content: bytes, want: list[int]) -> None:
    (tmp_path / name).write_bytes(content)
    assert vio.read_ids(tmp_path / name).tolist() == want


@pytest.mark.parametrize("line", ["x", "1.5", "1 2", "9223372036854775808", "1" * 5000, "--1", "-"])
def test_text_ids_that_are_none(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.txt").write_text(f"1\n{line}\n")
    with pytest.raises(FormatError, match="line 2") as caught:
        vio.read_ids(tmp_path / "a.txt")
    assert caught.value.offset == 2


def test_ids_from_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([5, 7], np.uint32))
    assert vio.read_ids(tmp_path / "a.npy").tolist() == [5, 7]
    vio.write(tmp_path / "a.ivecs", np.array([[5], [7]]))
    assert vio.read_ids(tmp_path / "a.ivecs").dtype == np.int64
    np.save(tmp_path / "mask.npy", np.array([True, False]))
    assert vio.read_ids(tmp_path / "mask.npy").dtype == np.bool_
    for bad in (np.zeros(3), np.zeros((2, 2), int), np.array([2**64 - 1], np.uint64)):
        np.save(tmp_path / "bad.npy", bad)
        with pytest.raises(ValueError, match="wanted"):
            vio.read_ids(tmp_path / "bad.npy")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), suffix=st.sampled_from(sorted(PLAIN)))
def test_any_matrix_comes_back(tmp_path: Path, data: st.DataObject, suffix: str) -> None:
    shape = st.tuples(st.integers(1, 12), st.integers(1, 12))
    want = data.draw(hnp.arrays(np.dtype(PLAIN[suffix]), shape))
    path = tmp_path / f"a{suffix}"
    vio.write(path, want[::-1, ::-1])  # no order of memory is special
    got = vio.read(path)
    assert got.tobytes() == want[::-1, ::-1].tobytes()  # also NaN payloads and -0


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200), suffix=st.sampled_from(sorted(PLAIN)))
def test_any_bytes_are_rows_or_a_format_error(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    try:
        got = vio.read(path)
    except FormatError:
        return
    assert got.nbytes <= len(content)
