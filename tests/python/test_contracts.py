"""What every index promises, whatever it is made of."""

from __future__ import annotations

import copy
import json
import os
import pickle
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st

import vicinal
from vicinal import files

DIM = 24


def same(a: vicinal.Neighbors, b: vicinal.Neighbors) -> bool:
    return np.array_equal(a.ids, b.ids) and np.array_equal(a.distances, b.distances)


def test_nearest_first_and_close_to_the_truth(kind: Any, metric: str, normal: Any) -> None:
    rows, queries = normal(600, DIM), normal(40, DIM, seed=1)
    index = kind.make(DIM, metric)
    index.add(rows)
    got = index.search(queries, 10)
    assert (np.diff(got.distances, axis=1) >= 0).all()
    want_ids, _ = reference.nearest(queries, rows, np.arange(600), metric, 10)
    # A broken scorer finds 2%.
    assert reference.shared(got.ids, want_ids) > 0.85
    if kind.exact:
        want = np.take_along_axis(reference.distances(queries, rows, metric), got.ids, axis=1)
        # A sum of dim products in float32, each of magnitude at most that of the largest norm.
        scale = 1.0 if metric == "cosine" else float((rows.astype(float) ** 2).sum(axis=1).max())
        np.testing.assert_allclose(got.distances, want, atol=4 * (DIM + 3) * 2.0**-24 * scale)


def test_ties_go_to_the_smaller_id(kind: Any, normal: Any) -> None:
    rows = np.repeat(normal(8, DIM), 4, axis=0)
    ids = np.random.default_rng(1).permutation(32)
    index = kind.make(DIM)
    index.add(rows, ids)
    got = index.search(rows[::4], 4)
    want = np.sort(ids.reshape(8, 4), axis=1)
    assert np.array_equal(got.ids, want)


def test_places_without_a_neighbour_are_padded(kind: Any, normal: Any) -> None:
    rows = normal(5, DIM)
    index = kind.make(DIM)
    empty = index.search(rows, 3)
    assert (empty.ids == -1).all()
    assert np.isposinf(empty.distances).all()
    assert empty.counts.tolist() == [0] * 5
    index.add(rows[:1])
    one = index.search(rows, 3)
    assert (one.ids == [0, -1, -1]).all()
    index.add(rows[1:])
    more = index.search(rows, 9)
    assert (np.sort(more.ids, axis=1) == [-1] * 4 + [0, 1, 2, 3, 4]).all()
    assert np.isposinf(more.distances[:, 5:]).all()
    assert more.counts.tolist() == [5] * 5


def test_no_queries_no_answers(kind: Any, normal: Any) -> None:
    index = kind.make(DIM)
    index.add(normal(5, DIM))
    assert index.search(np.empty((0, DIM)), 3).ids.shape == (0, 3)
    index.add(np.empty((0, DIM)))
    assert len(index) == 5


def test_threads_change_nothing(kind: Any, metric: str, normal: Any) -> None:
    rows, queries = normal(700, DIM), normal(90, DIM, seed=1)
    made = []
    for threads in (1, 2, 5):
        index = kind.make(DIM, metric)
        index.add(rows, threads=threads)
        made.append(index)
    want = made[0].search(queries, 10, threads=1)
    for index in made:
        for threads in (1, 2, 7):
            assert same(index.search(queries, 10, threads=threads), want)


@pytest.mark.parametrize("mode", ["map", "load"])
def test_opened_equals_saved(
    kind: Any, metric: str, mode: Any, normal: Any, tmp_path: Path
) -> None:
    rows, queries = normal(300, DIM), normal(20, DIM, seed=1)
    index = kind.make(DIM, metric)
    index.add(rows, ids=np.arange(300) * 3 + 1)
    index.remove([4, 7])
    path = tmp_path / "a file.vicinal"
    index.save(path)
    vicinal.verify(path)
    again = vicinal.open(path, mode)
    assert type(again) is type(index)
    assert repr(again) == repr(index)
    assert again.params == index.params
    assert (again.dim, again.metric, len(again)) == (DIM, metric, 298)
    assert np.array_equal(again.ids, index.ids)
    assert same(again.search(queries, 10), index.search(queries, 10))
    assert np.array_equal(again.get(10), index.get(10))
    # What was opened can change; the file does not.
    before = path.read_bytes()
    again.add(rows[:2])
    again.remove([1])
    assert len(again) == 299
    assert path.read_bytes() == before
    assert len(vicinal.open(path)) == 298
    again.save(path)
    assert len(vicinal.open(path, mode)) == 299


def test_ids_are_stable(kind: Any, normal: Any) -> None:
    rows = normal(60, DIM)
    index = kind.make(DIM)
    index.add(rows[:20])
    index.add(rows[20:40], ids=np.arange(1000, 1020, dtype=np.uint16))
    index.add(rows[40:])
    want = [*range(20), *range(1000, 1020), *range(1020, 1040)]
    assert index.ids.tolist() == want
    index.remove(np.arange(5, 15))
    want = [i for i in want if not 5 <= i < 15]
    assert index.ids.tolist() == want
    assert len(index) == 50
    assert 4 in index
    assert np.int64(1039) in index
    for absent in (5, -1, 1040, 2**70, "4", None, 4.0, True):
        assert absent not in index
    found = index.search(rows, 1).ids[:, 0]
    gone = np.arange(5, 15)
    keep = np.setdiff1d(np.arange(60), gone)
    assert found[keep].tolist() == want
    assert not np.isin(found, gone).any()
    index.add(rows[5:15], ids=range(5, 15))
    assert index.search(rows[5:15], 1).ids[:, 0].tolist() == list(range(5, 15))


def test_numbering_never_reuses_an_id(kind: Any, normal: Any) -> None:
    index = kind.make(DIM)
    index.add(normal(3, DIM))
    index.remove([2])
    index.add(normal(1, DIM, seed=5))
    assert index.ids.tolist() == [0, 1, 3]


def test_the_largest_id(kind: Any, normal: Any) -> None:
    index = kind.make(DIM)
    last = 2**63 - 1
    index.add(normal(2, DIM), ids=[last, 0])
    assert sorted(index.search(normal(1, DIM), 2).ids[0].tolist()) == [0, last]
    with pytest.raises(vicinal.ArgumentError, match="id"):
        index.add(normal(1, DIM, seed=2))
    assert len(index) == 2


def test_get_gives_back_the_vector(kind: Any, normal: Any) -> None:
    rows = normal(50, DIM)
    index = kind.make(DIM)
    index.add(rows)
    got = np.stack([index.get(i) for i in range(50)])
    assert got.dtype == np.float32
    if kind.exact:
        assert np.array_equal(got, rows)
    # An 8-bit step is 1/255 of the range of a row: here below 8 for every row.
    assert np.abs(got - rows).max() <= 8 / 255


def test_copies_and_pickles(kind: Any, normal: Any, tmp_path: Path) -> None:
    rows = normal(100, DIM)
    index = kind.make(DIM)
    index.add(rows)
    want = index.search(rows[:9], 5)
    with pytest.raises(TypeError, match=r"deepcopy.*save"):
        copy.copy(index)
    twin = copy.deepcopy(index)
    twin.remove([0])
    assert 0 in index
    assert same(pickle.loads(pickle.dumps(index)).search(rows[:9], 5), want)

    path = tmp_path / "index"
    index.save(path)
    mapped = vicinal.open(path)
    short = pickle.dumps(mapped)
    assert len(short) < 300  # the path, not the content
    assert same(pickle.loads(short).search(rows[:9], 5), want)
    mapped.add(rows[:1])
    assert len(pickle.loads(pickle.dumps(mapped))) == 101
    mapped = vicinal.open(path)
    os.replace(path, tmp_path / "elsewhere")
    assert same(pickle.loads(pickle.dumps(mapped)).search(rows[:9], 5), want)


def test_settings_travel_with_an_opened_index(normal: Any, tmp_path: Path) -> None:
    rows = normal(600, DIM)
    graph = vicinal.HNSWIndex(DIM)
    graph.add(rows)
    graph.save(tmp_path / "graph")
    opened = vicinal.open(tmp_path / "graph")
    assert isinstance(opened, vicinal.HNSWIndex)
    opened.ef, opened.slack = 123, 0.25
    opened.calibrate(rows[:50])
    for twin in (copy.deepcopy(opened), pickle.loads(pickle.dumps(opened))):
        assert (twin.ef, twin.slack, twin.calibration) == (123, 0.25, opened.calibration)
    lists = vicinal.IVFIndex(DIM)
    lists.add(rows)
    lists.save(tmp_path / "lists")
    also = vicinal.open(tmp_path / "lists")
    assert isinstance(also, vicinal.IVFIndex)
    also.nprobe = 7
    assert copy.deepcopy(also).nprobe == 7


def test_a_file_replaced_while_it_is_opened(
    normal: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = vicinal.HNSWIndex(DIM), vicinal.HNSWIndex(DIM)
    first.add(normal(50, DIM))
    second.add(normal(80, DIM))
    first.ef, second.ef = 11, 22
    path = tmp_path / "graph"
    first.save(path)
    info = files._core.file_info

    def late(where: Any) -> Any:
        found = info(where)
        if not saved:
            saved.append(True)
            second.save(path)
        return found

    saved: list[bool] = []
    monkeypatch.setattr(files._core, "file_info", late)
    index = vicinal.open(path)
    assert isinstance(index, vicinal.HNSWIndex)
    assert (len(index), index.ef) == (80, 22)


DEEP = '{"vicinal": "1", "x": ' + "[" * 900 + "]" * 900 + "}"
WIDE = '{"vicinal": "1", "x": [' + "{}," * 500_000 + "{}]}"


@pytest.mark.parametrize("text", [DEEP, WIDE, DEEP.replace("[", '{"a":').replace("]", "}")])
def test_metadata_that_cannot_be_ours_stays_text(normal: Any, tmp_path: Path, text: str) -> None:
    index = vicinal.FlatIndex(DIM)
    index.add(normal(3, DIM))
    text = text.replace(":}", ":0}")
    path = tmp_path / "index"
    index._core.save(os.fsencode(path), text, None)
    assert len(vicinal.open(path)) == 3
    tracemalloc.start()
    assert vicinal.info(path).metadata == text
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 8 * len(text) + (1 << 20)


def test_a_report_of_numbers_that_no_float_holds_is_refused(normal: Any, tmp_path: Path) -> None:
    index = vicinal.build(normal(50, DIM))
    assert index.report is not None
    path = tmp_path / "index"
    tried = {"tried": [["sq8", 8, 10**400]]}
    for wrong in ({"recall": 10**400}, {"kind": [0] * 10_000}, tried):
        settings = {"vicinal": "1", "report": {**index.report.to_dict(), **wrong}}
        index._core.save(os.fsencode(path), json.dumps(settings), None)
        with pytest.raises(vicinal.FormatError, match="settings: report") as caught:
            vicinal.open(path)
        assert len(str(caught.value)) < len(str(path)) + 300


def test_memory_adds_up(kind: Any, normal: Any, tmp_path: Path) -> None:
    index = kind.make(DIM)
    index.add(normal(2000, DIM))
    report = index.memory()
    assert sum(report.values()) == report.total == sum(part.bytes for part in report.parts)
    assert report.allocated + report.mapped == report.total
    assert report.mapped == 0
    # Half a byte per dimension is the least that any codec keeps.
    assert report["codes"] >= 2000 * DIM / 2
    assert str(report).splitlines()[-1].split() == ["total", f"{report.total:,}", "bytes"]
    path = tmp_path / "index"
    index.save(path)
    mapped = vicinal.open(path).memory()
    assert mapped.mapped > 0.5 * mapped.total
    assert vicinal.open(path, "load").memory().mapped == 0


def test_compact_and_reorder_keep_the_answers(normal: Any) -> None:
    rows, queries = normal(1500, DIM), normal(50, DIM, seed=1)
    index = vicinal.HNSWIndex(DIM, codec="sq8", refine="float32")
    index.add(rows)
    before = index.search(queries, 10, ef=200)
    index.reorder()
    # The graph is the same; where distances of codes tie, the order of visits may differ.
    assert reference.shared(index.search(queries, 10, ef=200).ids, before.ids) > 0.99
    gone = np.arange(0, 1500, 2)
    index.remove(gone)
    assert index.removed == 750
    size = index.memory()["codes"]
    index.compact()
    assert index.removed == 0
    assert len(index) == 750
    assert index.memory()["codes"] < size
    kept = np.arange(1, 1500, 2)
    want, _ = reference.nearest(queries, rows[kept], kept, "l2", 10)
    got = index.search(queries, 10, ef=200)
    # Measured 1.0: 200 candidates of 750.
    assert reference.shared(got.ids, want) > 0.98


def test_settings_travel_with_the_file(normal: Any, tmp_path: Path) -> None:
    index = vicinal.HNSWIndex(DIM)
    assert index.ef == 64
    index.ef = 123
    index.add(normal(10, DIM))
    index.save(tmp_path / "index")
    again = vicinal.open(tmp_path / "index")
    assert isinstance(again, vicinal.HNSWIndex)
    assert again.ef == 123
    about = vicinal.info(tmp_path / "index")
    assert about.kind == "hnsw"
    assert isinstance(about.metadata, dict)
    assert about.metadata["ef"] == 123
    assert about.file_bytes == (tmp_path / "index").stat().st_size
    assert {"codes", "links"} <= {section.name for section in about.sections}
    assert about.kind in str(about)


def test_params_round_trip() -> None:
    for params in (
        vicinal.HNSWParams(),
        vicinal.HNSWParams(vicinal.SQ8(), "float16", 24, 100, 3),
    ):
        assert vicinal.HNSWParams.from_dict(params.to_dict()) == params
        assert vicinal.HNSWIndex.from_params(4, "ip", params).params == params
        assert eval(repr(params), vars(vicinal)) == params
    flat = vicinal.FlatParams("uint8")  # type: ignore[arg-type]
    assert flat == vicinal.FlatParams(vicinal.Uint8())
    assert vicinal.FlatParams.from_dict(flat.to_dict()) == flat
    assert vicinal.FlatIndex.from_params(4, "l2", flat).params == flat
    with pytest.raises(vicinal.ArgumentError, match="has no 'link'"):
        vicinal.HNSWParams.from_dict({"link": 3})


@given(st.data())
def test_any_layout_builds_the_same_graph(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    n, dim = data.draw(st.integers(1, 80)), data.draw(st.integers(1, 30))
    metric = data.draw(st.sampled_from(["l2", "ip", "cosine"]))
    plain = rng.integers(1, 100, (n, dim)).astype(np.float32)
    dtype = data.draw(st.sampled_from(["float64", "float16", "int8", "uint8", "int32"]))
    other: Any = plain.astype(dtype)
    if data.draw(st.booleans()):
        other = np.asfortranarray(other)
    answers = []
    for rows in (plain, other):
        index = vicinal.HNSWIndex(dim, metric, codec="sq8", refine="float16")
        index.add(rows)
        answers.append(index.search(rows, 5))
    assert same(*answers)


def test_nothing_warns(kind: Any, normal: Any, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        index = kind.make(DIM)
        index.add(normal(100, DIM))
        index.search(normal(3, DIM), 5)
        index.save(tmp_path / "index")
        vicinal.open(tmp_path / "index").search(normal(3, DIM), 5)
