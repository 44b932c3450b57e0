"""Every wrong argument of every call: what is raised, what it says, and that nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vicinal

DIM = 6
GOOD = np.random.default_rng(0).standard_normal((9, DIM)).astype(np.float32)


def spoiled(value: float, row: int = 4, column: int = 2) -> Any:
    rows = GOOD.copy()
    rows[row, column] = value
    return rows


def made(name: str, metric: str = "l2") -> Any:
    index: Any
    if name == "flat":
        index = vicinal.FlatIndex(DIM, metric)
    elif name == "ivf":
        index = vicinal.IVFIndex(DIM, metric, refine="float16")
    else:
        index = vicinal.HNSWIndex(DIM, metric, codec="sq8", refine="float16")
    index.add(GOOD[:5])
    return index


def state(index: Any) -> tuple[Any, ...]:
    hits = index.search(GOOD, 7)
    return (len(index), index.ids.tolist(), hits.ids.tolist(), hits.distances.tolist())


Error = vicinal.ArgumentError
Wide = vicinal.DimensionError

# What may come as vectors or queries, and what is said of it.
ARRAYS: list[tuple[str, Any, type[Exception], str]] = [
    ("too wide", np.zeros((2, DIM + 1)), Wide, "{} has 7 columns; .*6-dimensional"),
    ("too narrow", np.zeros(DIM - 1), Wide, "{} has 5 columns; .*6-dimensional"),
    ("no columns", [], Wide, "{} has 0 columns"),
    ("three dimensions", np.zeros((1, 2, DIM)), Error, "{} has 3 dimensions; wanted 2"),
    ("no dimensions", 3.0, Error, "{} has 0 dimensions; wanted 2"),
    ("ragged", [[1.0] * DIM, [1.0]], Error, "{} is not a rectangular array"),
    ("bool", np.ones((2, DIM), bool), TypeError, "{} holds bool; wanted float64"),
    ("complex", np.ones((2, DIM), complex), TypeError, "{} holds complex128; wanted"),
    ("text", "vector", TypeError, "{} holds <U6; wanted"),
    ("objects", np.array([[None] * DIM]), TypeError, "{} holds object; wanted"),
    ("nothing", None, TypeError, "{} holds object; wanted"),
    ("dates", np.zeros((1, DIM), "M8[s]"), TypeError, "{} holds datetime64"),
    ("masked", np.ma.masked_all((1, DIM)), TypeError, "{} is a masked array"),
    ("nan", spoiled(np.nan), Error, r"{}.*row 4.*column 2.*nan"),
    ("infinity", spoiled(-np.inf), Error, r"{}.*row 4.*column 2.*inf"),
    ("beyond float32", spoiled(1).astype(float) * 1e39, Error, r"{}.*row 0.*float32"),
]
THREADS: list[tuple[str, Any, type[Exception], str]] = [
    ("0", 0, Error, "threads must be from 1 to 1024, got 0"),
    ("negative", -2, Error, "threads must be from 1 to 1024, got -2"),
    ("too many", 1025, Error, "threads must be from 1 to 1024, got 1025"),
    ("float", 2.0, TypeError, "threads must be a whole number, got float 2.0"),
    ("text", "2", TypeError, "threads must be a whole number, got str '2'"),
]
PROGRESS: list[tuple[str, Any, type[Exception], str]] = [
    ("not callable", 3, TypeError, "progress must be None or callable, got int"),
]
K: list[tuple[str, Any, type[Exception], str]] = [
    ("0", 0, Error, "k must be from 1 to 2147483647, got 0"),
    ("negative", -1, Error, "k must be from 1 to 2147483647, got -1"),
    ("huge", 2**80, Error, f"k must be from 1 to 2147483647, got {2**80}"),
    ("float", 3.0, TypeError, "k must be a whole number, got float 3.0"),
    ("bool", True, TypeError, "k must be a whole number, got bool True"),
    ("nothing", None, TypeError, "k must be a whole number, got NoneType None"),
]
ALLOW: list[tuple[str, Any, type[Exception], str]] = [
    ("floats", [1.0], TypeError, "allow holds float64; wanted integers"),
    ("text", "all", TypeError, "allow holds <U3; wanted integers"),
    ("two dimensions", np.ones((2, 2), bool), Error, "allow has 2 dimensions; wanted 1"),
    ("a single bool", True, Error, "allow has 0 dimensions; wanted 1"),
    ("id table", [[1, 2]], Error, "allow has 2 dimensions; wanted 1"),
]
NEW_IDS: list[tuple[str, Any, type[Exception], str]] = [
    ("too few", range(10, 18), Error, "ids has 8 entries; wanted one for each of 9 vectors"),
    ("negative", [-1, *range(11, 19)], Error, "id.*-1"),
    ("repeated", [11, *range(11, 19)], Error, "11"),
    ("taken", [3, *range(11, 19)], Error, "3"),
    ("floats", np.arange(10.0, 19), TypeError, "ids holds float64; wanted integers"),
    ("bools", np.ones(9, bool), TypeError, "ids holds bool; wanted integers"),
    ("text", ["a"] * 9, TypeError, "ids holds <U1; wanted integers"),
    ("beyond int64", np.full(9, 2**63, np.uint64), Error, f"ids holds {2**63}; wanted integers"),
    ("two dimensions", np.arange(18).reshape(9, 2), Error, "ids has 2 dimensions; wanted 1"),
]
OLD_IDS: list[tuple[str, Any, type[Exception], str]] = [
    ("absent", [1, 77], Error, "77"),
    ("negative", [-1], Error, "-1"),
    ("repeated", [1, 2, 1], Error, "1"),
    ("floats", [1.0], TypeError, "ids holds float64; wanted integers"),
    ("nothing", None, TypeError, "ids holds object; wanted integers"),
]
ONE_ID: list[tuple[str, Any, type[Exception], str]] = [
    ("absent", 77, Error, "77"),
    ("negative", -1, Error, "id must be from 0 to .*, got -1"),
    ("huge", 2**63, Error, "id must be from 0 to .*, got 9223372036854775808"),
    ("float", 1.0, TypeError, "id must be an integer, got float 1.0"),
    ("bool", True, TypeError, "id must be an integer, got True"),
]
CUT: list[tuple[str, Any, type[Exception], str]] = [
    ("nan", np.nan, Error, "cut must be a number, got nan"),
    ("negative", -0.5, Error, "cut is -0.5.*; wanted 0 or more"),
    ("text", "1", TypeError, "cut must be a number, got str '1'"),
]
RADIUS: list[tuple[str, Any, type[Exception], str]] = [
    ("nan", np.nan, Error, "radius must be a number, got nan"),
    ("text", "1", TypeError, "radius must be a number, got str '1'"),
    ("nothing", None, TypeError, "radius must be a number, got NoneType None"),
]


def counts(name: str) -> list[tuple[str, Any, type[Exception], str]]:
    top = 2**32 - 1
    return [
        ("0", 0, Error, f"{name} must be from 1 to {top}, got 0"),
        ("huge", 2**32, Error, f"{name} must be from 1 to {top}, got {2**32}"),
        ("float", 9.5, TypeError, f"{name} must be a whole number, got float 9.5"),
        ("text", "9", TypeError, f"{name} must be a whole number, got str '9'"),
    ]


BOTH, FLAT, HNSW, IVF = ("flat", "hnsw", "ivf"), ("flat",), ("hnsw",), ("ivf",)
CALLS: list[tuple[str, str, tuple[str, ...], Any, dict[str, Any]]] = [
    # method, argument, indexes that have it, its bad values, the other arguments
    ("add", "vectors", BOTH, ARRAYS, {}),
    ("add", "ids", BOTH, NEW_IDS, {"vectors": GOOD}),
    ("add", "threads", BOTH, THREADS, {"vectors": GOOD}),
    ("add", "progress", BOTH, PROGRESS, {"vectors": GOOD}),
    ("remove", "ids", BOTH, OLD_IDS, {}),
    ("get", "id", BOTH, ONE_ID, {}),
    ("search", "queries", BOTH, ARRAYS, {}),
    ("search", "k", BOTH, K, {"queries": GOOD}),
    ("search", "allow", BOTH, ALLOW, {"queries": GOOD}),
    ("search", "threads", BOTH, THREADS, {"queries": GOOD}),
    ("search", "progress", BOTH, PROGRESS, {"queries": GOOD}),
    ("search", "ef", HNSW, counts("ef"), {"queries": GOOD}),
    ("search", "rerank", HNSW, counts("rerank"), {"queries": GOOD}),
    ("search", "nprobe", IVF, counts("nprobe"), {"queries": GOOD}),
    ("search", "candidates", IVF, counts("candidates"), {"queries": GOOD}),
    ("search", "cut", IVF, CUT, {"queries": GOOD}),
    ("search_stats", "queries", (*HNSW, *IVF), ARRAYS, {}),
    ("search_stats", "nprobe", IVF, counts("nprobe"), {"queries": GOOD}),
    ("search_stats", "k", (*HNSW, *IVF), K, {"queries": GOOD}),
    ("search_stats", "ef", HNSW, counts("ef"), {"queries": GOOD}),
    ("range_search", "queries", FLAT, ARRAYS, {"radius": 1}),
    ("range_search", "radius", FLAT, RADIUS, {"queries": GOOD}),
    ("range_search", "allow", FLAT, ALLOW, {"queries": GOOD, "radius": 1}),
    ("range_search", "threads", FLAT, THREADS, {"queries": GOOD, "radius": 1}),
    ("train", "vectors", IVF, ARRAYS, {}),
    ("train", "threads", IVF, THREADS, {"vectors": GOOD}),
    ("train", "progress", IVF, PROGRESS, {"vectors": GOOD}),
    ("compact", "threads", HNSW, THREADS, {}),
    ("compact", "progress", HNSW, PROGRESS, {}),
    ("reorder", "threads", HNSW, THREADS, {}),
]
MATRIX = [
    pytest.param(
        name, method, argument, value, others, error, says, id=f"{name}.{method} {argument}: {what}"
    )
    for method, argument, names, values, others in CALLS
    for what, value, error, says in values
    for name in names
]


@pytest.mark.parametrize(("name", "method", "argument", "value", "others", "error", "says"), MATRIX)
def test_a_bad_argument_is_named_and_changes_nothing(
    name: str,
    method: str,
    argument: str,
    value: Any,
    others: dict[str, Any],
    error: type[Exception],
    says: str,
) -> None:
    index = made(name)
    before = state(index)
    with pytest.raises(error, match=says.format(argument)) as caught:
        getattr(index, method)(**{**others, argument: value})
    assert type(caught.value) is error
    if issubclass(error, vicinal.Error):
        assert isinstance(caught.value, ValueError)
    assert state(index) == before


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("method", ["add", "search"])
def test_cosine_refuses_what_has_no_direction(name: str, method: str) -> None:
    index = made(name, "cosine")
    before = state(index)
    rows = GOOD.copy()
    rows[3] = 0
    with pytest.raises(vicinal.ArgumentError, match=r"row 3.*zero|zero.*row 3"):
        getattr(index, method)(rows)
    assert state(index) == before
    made(name, "l2").add(rows)


TOO_LARGE = 70000.0  # float16 ends at 65504


@pytest.mark.parametrize(
    ("make", "rows"),
    [
        (lambda: vicinal.FlatIndex(DIM, codec="float16"), spoiled(TOO_LARGE)),
        (lambda: vicinal.HNSWIndex(DIM, codec="sq8", refine="float16"), spoiled(TOO_LARGE)),
        (lambda: vicinal.FlatIndex(DIM, codec="uint8"), np.round(np.abs(GOOD)) - 1),
        (lambda: vicinal.FlatIndex(DIM, codec="int8"), GOOD),
    ],
    ids=["flat float16", "hnsw refine float16", "uint8 negative", "int8 fraction"],
)
def test_a_value_the_codec_cannot_hold(make: Callable[[], Any], rows: Any) -> None:
    index = make()
    index.add(np.ones((2, DIM)))
    with pytest.raises(vicinal.ArgumentError, match=r"vectors.*row"):
        index.add(rows)
    assert len(index) == 2
    assert index.ids.tolist() == [0, 1]


MAKING = [
    ({"dim": 0}, Error, "dim must be from 1 to 32768, got 0"),
    ({"dim": 32769}, Error, "dim must be from 1 to 32768, got 32769"),
    ({"dim": 2.5}, TypeError, "dim must be a whole number, got float 2.5"),
    ({"metric": "hamming"}, Error, "metric must be one of 'l2', 'ip', 'cosine', got 'hamming'"),
    ({"metric": 2}, TypeError, "metric must be a string, got int"),
    ({"codec": "pq"}, Error, "codec must be one of 'float32', .*, got 'pq'"),
    ({"codec": 8}, TypeError, "codec must be one such as SQ8.. or its text, got int 8"),
]
MAKING_HNSW = [
    *MAKING,
    ({"codec": "int8"}, Error, "int8"),
    ({"codec": "float32", "refine": "float16"}, Error, "refine"),
    ({"codec": "sq4", "refine": "sq8"}, Error, "refine is sq8, which an HNSW index does not"),
    ({"refine": "sq2"}, Error, "refine must be None or one of .*, got 'sq2'"),
    ({"refine": 16}, TypeError, "refine must be None or a string, got int 16"),
    ({"links": 1}, Error, "links.*1"),
    ({"links": 513}, Error, "links.*513"),
    ({"links": 2.0}, TypeError, "links must be a whole number, got float 2.0"),
    ({"build_ef": 0}, Error, "build_ef.*0"),
    ({"builder": "slow"}, Error, "builder must be one of 'auto', .*, got 'slow'"),
    ({"builder": None}, TypeError, "builder must be"),
    ({"seed": -1}, Error, "seed must be from 0 to .*, got -1"),
    ({"seed": 2**64}, Error, "seed must be from 0 to .*, got 18446744073709551616"),
]


MAKING_IVF = [
    *MAKING,
    ({"codec": "int8"}, Error, "int8"),
    ({"codec": "float32", "refine": "float32"}, Error, "refine"),
    ({"refine": "sq8"}, Error, "refine is sq8, which is no finer than the codec sq8"),
    ({"refine": "sq2"}, Error, "refine must be None or one of .*, got 'sq2'"),
    ({"lists": 0}, Error, "lists must be from 1 to .*, got 0"),
    ({"lists": 2.0}, TypeError, "lists must be a whole number, got float 2.0"),
    ({"residual": 1}, TypeError, "residual must be True or False, got int 1"),
    ({"soar": "yes"}, TypeError, "soar must be True or False, got str 'yes'"),
    ({"spill": -1}, Error, "spill is -1.*; wanted 0 to 1000"),
    ({"spill": "1"}, TypeError, "spill must be a number, got str '1'"),
    ({"balance": 0.5}, Error, "balance is 0.5.*; wanted 0 for none, or 1 to 1000"),
    ({"balance": np.nan}, Error, "balance must be a number, got nan"),
    ({"seed": -1}, Error, "seed must be from 0 to .*, got -1"),
]


@pytest.mark.parametrize(
    ("arguments", "error", "says"), [*MAKING, ({"codec": "sq9"}, Error, "sq9")]
)
def test_making_a_flat_index(arguments: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        vicinal.FlatIndex(**{"dim": 4, **arguments})


@pytest.mark.parametrize(("arguments", "error", "says"), MAKING_HNSW)
def test_making_a_graph(arguments: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        vicinal.HNSWIndex(**{"dim": 4, **arguments})


@pytest.mark.parametrize(("arguments", "error", "says"), MAKING_IVF)
def test_making_inverted_lists(arguments: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        vicinal.IVFIndex(**{"dim": 4, **arguments})


@pytest.mark.parametrize(("_what", "value", "_error", "_says"), counts("nprobe"))
def test_default_nprobe(_what: str, value: Any, _error: type[Exception], _says: str) -> None:
    index = vicinal.IVFIndex(4)
    with pytest.raises(_error, match="nprobe must be"):
        index.nprobe = value
    assert index.nprobe == 16


@pytest.mark.parametrize(("_what", "value", "_error", "_says"), counts("ef"))
def test_default_ef(_what: str, value: Any, _error: type[Exception], _says: str) -> None:
    index = vicinal.HNSWIndex(4)
    with pytest.raises(_error, match="ef must be"):
        index.ef = value
    assert index.ef == 64


PATHS: list[tuple[Any, type[Exception], str]] = [
    (3, TypeError, "path must be a string or an os.PathLike, got int 3"),
    (None, TypeError, "path must be a string or an os.PathLike, got NoneType None"),
    ("a\0b", Error, "path must not hold a null byte"),
]


@pytest.mark.parametrize(("path", "error", "says"), PATHS)
def test_paths(path: Any, error: type[Exception], says: str) -> None:
    for call in (vicinal.open, vicinal.info, vicinal.verify, made("flat").save):
        with pytest.raises(error, match=says):
            call(path)


def test_the_system_refuses(tmp_path: Path) -> None:
    absent = tmp_path / "ab\u00e9" / "sent"
    for call in (vicinal.open, vicinal.info, vicinal.verify, made("flat").save):
        with pytest.raises(FileNotFoundError) as caught:
            call(absent)
        assert caught.value.errno == 2
        assert str(absent.parent) in str(caught.value.filename)
    with pytest.raises(OSError, match="irectory"):
        vicinal.open(tmp_path)


def test_files_that_are_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "index"
    made("hnsw").save(path)
    whole = path.read_bytes()
    for content in (b"", b"hello", bytes(4096), whole[:-1], whole[: len(whole) // 2]):
        path.write_bytes(content)
        for call in (vicinal.open, vicinal.verify, lambda p: vicinal.open(p, "load")):
            with pytest.raises(vicinal.FormatError) as caught:
                call(path)
            assert caught.value.path == str(path)
            assert 0 <= caught.value.offset <= max(len(content), 4096)
            assert str(path) in str(caught.value)
            assert isinstance(caught.value, ValueError)
    flipped = bytearray(whole)
    section = next(s for s in _sections(tmp_path, whole) if s.name == "codes")
    flipped[section.offset] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(vicinal.FormatError):
        vicinal.verify(path)
    with pytest.raises(vicinal.FormatError):
        vicinal.open(path, "load")


def _sections(folder: Path, content: bytes) -> tuple[vicinal.Section, ...]:
    (folder / "good").write_bytes(content)
    return vicinal.info(folder / "good").sections


@pytest.mark.parametrize(
    "metadata",
    [
        '{"vicinal": "1", "ef": 0}',
        '{"vicinal": "1", "ef": "many"}',
        '{"vicinal": "1", "ef": null}',
        '{"vicinal": "1", "report": 3}',
        '{"vicinal": "1", "report": {"kind": "x"}}',
    ],
)
def test_settings_that_make_no_sense(metadata: str, tmp_path: Path) -> None:
    path = tmp_path / "index"
    made("hnsw")._core.save(bytes(path), metadata, None)
    with pytest.raises(vicinal.FormatError, match="settings: ") as caught:
        vicinal.open(path)
    assert caught.value.path == str(path)


@pytest.mark.parametrize("metadata", ["", "notes", "[1]", '{"ef": 7}', "[" * 100_000])
def test_metadata_of_others_says_nothing(metadata: str, tmp_path: Path) -> None:
    path = tmp_path / "index"
    made("hnsw")._core.save(bytes(path), metadata, None)
    index = vicinal.open(path)
    assert isinstance(index, vicinal.HNSWIndex)
    assert index.ef == 64


def test_mode(tmp_path: Path) -> None:
    with pytest.raises(vicinal.ArgumentError, match="mode must be 'map' or 'load', got 'r'"):
        vicinal.open(tmp_path, "r")  # type: ignore[arg-type]


BUILDING = [
    ({"vectors": GOOD[0]}, Error, "vectors has 1 dimensions; wanted 2"),
    ({"vectors": GOOD[:0]}, Error, "vectors has 0 rows; wanted at least 1"),
    ({"vectors": spoiled(np.nan)}, Error, "vectors.*row 4"),
    ({"vectors": "x"}, TypeError, "vectors holds <U1"),
    ({"metric": "angle"}, Error, "metric must be one of"),
    ({"recall": 0}, Error, "recall must be above 0 and at most 1, got 0"),
    ({"recall": 1.01}, Error, "recall must be above 0 and at most 1, got 1.01"),
    ({"recall": float("nan")}, Error, "recall must be above 0 and at most 1, got nan"),
    ({"recall": "high"}, TypeError, "recall must be a number, got str 'high'"),
    ({"ids": [1]}, Error, "ids has 1 entries; wanted one for each of 9"),
    ({"queries": GOOD[:, :2]}, Wide, "queries has 2 columns; vectors has 6"),
    ({"queries": GOOD[:1]}, Error, "queries has 1 rows; wanted at least 2"),
    ({"threads": 0}, Error, "threads must be from 1"),
    ({"progress": 1}, TypeError, "progress must be None or callable"),
    ({"seed": -1}, Error, "seed must be from 0"),
    ({"seed": 1.5}, TypeError, "seed must be an integer, got float 1.5"),
]


@pytest.mark.parametrize(("arguments", "error", "says"), BUILDING)
def test_building(arguments: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        vicinal.build(**{"vectors": GOOD, **arguments})


def test_threads_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = vicinal.default_threads()
    for bad in (0, -1, 1025):
        with pytest.raises(vicinal.ArgumentError, match="threads must be from"):
            vicinal.set_default_threads(bad)
    assert vicinal.default_threads() == usual
    vicinal.set_default_threads(3)
    assert vicinal.default_threads() == 3
    vicinal.set_default_threads(None)
    assert vicinal.default_threads() >= 1
